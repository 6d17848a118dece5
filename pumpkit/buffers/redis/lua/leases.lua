-- Return the server's time, and every lease: its name, token, end and holder.
-- KEYS: locks   ARGV: microseconds for which one is taken
local reply = {text(now())}
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local token, till, holder = bounded(KEYS[1], name, ARGV[1])
  if token then
    reply[#reply + 1] = {name, token, text(till), holder}
  end
end
return reply
