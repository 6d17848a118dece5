-- Mark dead letters; return how many.
-- KEYS: dead, marks, marked   ARGV: mark, then ids, each once
local dead, marks, marked = KEYS[1], KEYS[2], KEYS[3]
local count = 0
begin_to_write(marks)
for i = 2, #ARGV do
  local known = redis.call('HGET', dead, ARGV[i])
  if known then
    redis.call('HSET', marks, ARGV[i], ARGV[1])
    redis.call('ZADD', marked, 0, string.match(known, '^(%d+)|') .. ':' .. ARGV[i])
    count = count + 1
  end
end
return count
