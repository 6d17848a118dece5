-- Rename a pump.
-- KEYS: log, pumps, locks, then everything of the pump under its old name, and as many under the new one
-- ARGV: name, lease, token, new name
local log, name, new = KEYS[1], ARGV[1], ARGV[4]
if not held(KEYS[3], ARGV[2], ARGV[3]) then
  return -1
end
if redis.call('SISMEMBER', KEYS[2], new) == 1 then
  return 0
end
local group = groups(log)[name]
if group then
  redis.pcall('XGROUP', 'DESTROY', log, new)
  redis.call('XGROUP', 'CREATE', log, new, group['last-delivered-id'])
  local from = '-'
  while true do
    local pending = redis.call('XPENDING', log, name, from, '+', 100)
    if #pending == 0 then
      break
    end
    for _, entry in ipairs(pending) do
      redis.call('XCLAIM', log, new, entry[2], 0, entry[1], 'FORCE', 'JUSTID')
      from = '(' .. entry[1]
    end
  end
  redis.call('XGROUP', 'DESTROY', log, name)
end
local half = (#KEYS - 3) / 2
for i = 4, 3 + half do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RENAME', KEYS[i], KEYS[i + half])
  end
end
redis.call('SREM', KEYS[2], name)
redis.call('SADD', KEYS[2], new)
return 1
