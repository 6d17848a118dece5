-- Forget producers whose rows are still what the caller saw; their drops go into one total.
-- KEYS: meta, producers   ARGV: drops as they were, drops as they become, then for each: producer, its row
if redis.call('HGET', KEYS[1], 'drops') ~= ARGV[1] then
  return 0
end
for i = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 1] then
    return 0
  end
end
for i = 3, #ARGV, 2 do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
redis.call('HSET', KEYS[1], 'drops', ARGV[2])
return 1
