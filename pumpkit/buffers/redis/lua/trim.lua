-- Delete a slice of the entries that every registered pump has passed; return how many.
-- KEYS: log, meta, pumps   ARGV: what pump keys begin with, entries, bytes
local log, meta = KEYS[1], KEYS[2]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return -1
end
local keep_us, keep_seq -- the first entry that has to stay
local known = groups(log)
local names = redis.call('SMEMBERS', KEYS[3])
for _, name in ipairs(names) do
  local group = known[name]
  if not group or redis.call('HGET', ARGV[1] .. name, 'id') ~= id then
    return 0 -- its worker will see to it; until then it holds everything
  end
  local us, seq = parts(group['last-delivered-id'])
  seq = seq + 1
  if group['pending'] > 0 then
    us, seq = parts(redis.call('XPENDING', log, name)[2])
  end
  if not keep_us or us < keep_us or (us == keep_us and seq < keep_seq) then
    keep_us, keep_seq = us, seq
  end
end
if not keep_us then
  return 0
end
local before = '(' .. text(keep_us) .. '-' .. text(keep_seq)
local from, entries, bytes, records, last = '-', 0, 0, 0, nil
while entries < tonumber(ARGV[2]) and bytes < tonumber(ARGV[3]) do
  local entry = redis.call('XRANGE', log, from, before, 'COUNT', 1)[1]
  if not entry then
    break
  end
  last, entries = entry[1], entries + 1
  if field(entry[2], 'n') then
    bytes = bytes + #field(entry[2], 'f')
    records = records + field(entry[2], 'n')
  end
  from = '(' .. last
end
if not last then
  return 0
end
local us, seq = parts(last)
redis.call('XTRIM', log, 'MINID', '=', text(us) .. '-' .. text(seq + 1))
redis.call('HINCRBY', meta, 'trimmed', text(records))
redis.call('HINCRBY', meta, 'trimmed_bytes', text(bytes))
redis.call('HSET', meta, 'trimmed_to', text(us + seq))
return entries
