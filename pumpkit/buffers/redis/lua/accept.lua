-- Remember parts of entries that a sink has taken.
-- KEYS: accepted, locks, pump   ARGV: lease, token, id of the log, then for each part: position, first-last
local accepted, locks, pump = KEYS[1], KEYS[2], KEYS[3]
if not held(locks, ARGV[1], ARGV[2]) then
  return 0
end
if redis.call('HGET', pump, 'id') ~= ARGV[3] then
  return 1 -- the entries are of a log that is no more
end
begin_to_write(accepted)
for i = 4, #ARGV, 2 do
  local before = redis.call('HGET', accepted, ARGV[i])
  redis.call('HSET', accepted, ARGV[i], before and before .. ',' .. ARGV[i + 1] or ARGV[i + 1])
end
return 1
