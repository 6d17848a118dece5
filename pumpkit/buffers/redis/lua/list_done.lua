-- Let go of the items in flight: they are in the log. Repeating it is harmless.
-- KEYS: in flight, state, locks
-- ARGV: lease that allows it, its token, producer of the items, sequence of the first one, and of the one after them
local flight, state, locks = KEYS[1], KEYS[2], KEYS[3]
if not held(locks, ARGV[1], ARGV[2]) then
  return 'fenced'
end
local known = redis.call('HMGET', state, 'producer', 'first')
if known[1] == ARGV[3] and known[2] == ARGV[4] then
  begin_to_write(state)
  redis.call('HSET', state, 'first', ARGV[5])
  redis.call('DEL', flight)
end
return 'ok'
