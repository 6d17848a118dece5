-- Mark dead letters; return how many.
-- KEYS: order, dead, marks, marked   ARGV: mark, then ids; none for all of them
local order, dead, marks, marked = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local count, done = 0, {}
local function mark(id, known)
  redis.call('HSET', marks, id, ARGV[1])
  redis.call('ZADD', marked, 0, string.match(known, '^(%d+)|') .. ':' .. id)
  count = count + (done[id] and 0 or 1)
  done[id] = true
end
begin_to_write(marks)
if #ARGV == 1 then
  for _, place in ipairs(redis.call('ZRANGE', order, 0, -1)) do
    local id = string.match(place, '^%d+:(.*)$')
    mark(id, redis.call('HGET', dead, id))
  end
end
for i = 2, #ARGV do
  local known = redis.call('HGET', dead, ARGV[i])
  if known then
    mark(ARGV[i], known)
  end
end
return count
