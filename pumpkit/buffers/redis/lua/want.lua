-- Pause or resume a pump; return whether it is known.
-- KEYS: pump   ARGV: wanted
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
begin_to_write(KEYS[1])
redis.call('HSET', KEYS[1], 'wanted', ARGV[1])
return 1
