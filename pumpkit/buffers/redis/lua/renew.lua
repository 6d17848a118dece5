-- Renew leases; return for each whether it is held.
-- KEYS: locks   ARGV: microseconds, then for each: lease, token
local till = text(now() + ARGV[1])
local answers = {}
begin_to_write(KEYS[1])
for i = 2, #ARGV, 2 do
  local token, _, holder = lease(KEYS[1], ARGV[i])
  if token == ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], token .. '|' .. till .. '|' .. holder)
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = token and 0 or -1 -- taken by another, or lost with the server's memory
  end
end
return answers
