-- Walk over entries from one to another, for at most so many bytes and so many entries.
-- KEYS: log   ARGV: position after which to begin, position at which to end, bytes, entries
-- Returns where that ended, the bytes, and whether there is more to walk over.
local at, bytes, wanted = ARGV[1], 0, tonumber(ARGV[3])
local from = at == '0' and '-' or '(' .. at .. '-0'
for _ = 1, ARGV[4] do
  local entry = redis.call('XRANGE', KEYS[1], from, ARGV[2] .. '-0', 'COUNT', 1)[1]
  if not entry then
    return {at, text(bytes), 0}
  end
  bytes = bytes + #(field(entry[2], 'f') or '')
  at = text(position(entry[1]))
  from = '(' .. entry[1]
  if bytes >= wanted then
    break
  end
end
return {at, text(bytes), 1}
