-- Delete a slice of the entries that every registered pump has passed; return how many.
-- KEYS: log, meta, pumps   ARGV: what pump keys begin with, entries, bytes
local log, meta = KEYS[1], KEYS[2]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return -1
end

-- Return the first entry that has to stay: its two numbers, or nothing if all do.
local function first_to_stay()
  local known, first, second = groups(log), nil, nil
  local names = redis.call('SMEMBERS', KEYS[3])
  for name in pairs(known) do -- should somebody have removed that set
    if redis.call('EXISTS', ARGV[1] .. name) == 1 then
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(names) do
    local group = known[name]
    if not group or redis.call('HGET', ARGV[1] .. name, 'id') ~= id then
      return nil -- its worker will see to it; until then it holds everything
    end
    local us, seq = parts(group['last-delivered-id'])
    seq = seq + 1
    if group['pending'] > 0 then
      us, seq = parts(redis.call('XPENDING', log, name)[2])
    end
    if not first or us < first or (us == first and seq < second) then
      first, second = us, seq
    end
  end
  return first, second
end

local us, seq = first_to_stay()
local entries, bytes, last = 0, 0, nil
if us then
  local from, before = '-', '(' .. text(us) .. '-' .. text(seq)
  while entries < tonumber(ARGV[2]) and bytes < tonumber(ARGV[3]) do
    local entry = redis.call('XRANGE', log, from, before, 'COUNT', 1)[1]
    if not entry then
      break
    end
    last, entries = entry[1], entries + 1
    bytes = bytes + #(field(entry[2], 'f') or '')
    from = '(' .. last
  end
end
if last then
  us, seq = parts(last)
  redis.call('XTRIM', log, 'MINID', '=', text(us) .. '-' .. text(seq + 1))
end
-- What is gone is told by the entry that is first now: somebody else may have removed some as well.
local before, size = given_before(log, meta, '-')
if before and (last or number(meta, 'trimmed') < before) then
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local to = last and position(last) or first and position(first[1]) - 1 or number(meta, 'last')
  redis.call('HSET', meta, 'trimmed', text(before), 'trimmed_bytes', text(size), 'trimmed_to', text(to))
end
return entries
