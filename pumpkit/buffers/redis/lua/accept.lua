-- Remember parts of entries that a sink has taken.
-- KEYS: accepted, locks   ARGV: lease, token, then for each part: position, first-last
if not held(KEYS[2], ARGV[1], ARGV[2]) then
  return 0
end
begin_to_write(KEYS[1])
for i = 3, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  redis.call('HSET', KEYS[1], ARGV[i], before and before .. ',' .. ARGV[i + 1] or ARGV[i + 1])
end
return 1
