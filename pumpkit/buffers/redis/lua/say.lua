-- Say something else of a lease's holder, or give the lease back ('' as its new token) and leave the word behind.
-- KEYS: locks   ARGV: lease, token, holder ('' to leave nothing behind), token from now on
local token, till = lease(KEYS[1], ARGV[1])
if token ~= ARGV[2] then
  return 0
end
begin_to_write(KEYS[1])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
elseif ARGV[4] == '' then
  redis.call('HSET', KEYS[1], ARGV[1], '|' .. text(now()) .. '|' .. ARGV[3])
else
  redis.call('HSET', KEYS[1], ARGV[1], token .. '|' .. text(till) .. '|' .. ARGV[3])
end
return 1
