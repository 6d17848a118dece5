-- Forget a pump.
-- KEYS: log, pumps, locks, then everything of the pump   ARGV: name, lease, token
if not held(KEYS[3], ARGV[2], ARGV[3]) then
  return 0
end
begin_to_write(KEYS[3])
redis.pcall('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[2], ARGV[1])
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
