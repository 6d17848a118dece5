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
begin_to_write(KEYS[4])
local group = groups(log)[name]
if group then
  redis.pcall('XGROUP', 'DESTROY', log, new)
  redis.call('XGROUP', 'CREATE', log, new, group['last-delivered-id'])
  local from = '-'
  while true do
    local pending, of_consumer = redis.call('XPENDING', log, name, from, '+', 100), {}
    if #pending == 0 then
      break
    end
    for _, entry in ipairs(pending) do
      local command = of_consumer[entry[2]] or {'XCLAIM', log, new, entry[2], 0}
      command[#command + 1] = entry[1]
      of_consumer[entry[2]] = command
      from = '(' .. entry[1]
    end
    for _, command in pairs(of_consumer) do
      command[#command + 1] = 'FORCE'
      command[#command + 1] = 'JUSTID'
      redis.call(unpack(command))
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
