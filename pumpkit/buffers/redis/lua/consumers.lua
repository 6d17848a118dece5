-- Return the server's time, and the other consumers of a pump: of each its name, its lease, and of that the token, the
-- end and the holder ('' if there is none).
-- KEYS: log, locks   ARGV: pump, consumer, the consumer of a cursor that is alone, microseconds for which one is taken
local reply = {text(now())}
local found = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if found.err then
  return reply
end
for _, values in ipairs(found) do
  local consumer = named(values)['name']
  if consumer ~= ARGV[2] then
    local name = 'pump:' .. ARGV[1] .. (consumer == ARGV[3] and '' or '@' .. consumer)
    local token, till, holder = bounded(KEYS[2], name, ARGV[4])
    reply[#reply + 1] = {consumer, name, token or '', text(till or 0), holder or ''}
  end
end
return reply
