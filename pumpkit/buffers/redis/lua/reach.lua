-- Walk over entries from one to another, for at most so many bytes; return where that ended, and the bytes.
-- KEYS: log   ARGV: position after which to begin, position at which to end, bytes wanted
local at, bytes, wanted = ARGV[1], 0, tonumber(ARGV[3])
local from = at == '0' and '-' or '(' .. at .. '-0'
while bytes < wanted do
  local entry = redis.call('XRANGE', KEYS[1], from, ARGV[2] .. '-0', 'COUNT', 1)[1]
  if not entry then
    break
  end
  bytes = bytes + #(field(entry[2], 'f') or '')
  at = text(position(entry[1]))
  from = '(' .. entry[1]
end
return {at, text(bytes)}
