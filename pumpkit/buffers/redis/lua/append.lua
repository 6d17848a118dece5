-- Store frames of one producer, if the log knows of it what the caller thinks.
-- With a list, its first items are removed in the same step: that is what the frames were made of.
-- KEYS: log, meta, producers [, list, locks]
-- ARGV: producer, row that is expected, new row, records lost, items to remove, how the first of them begins, how the
--       last one does, lease that allows it, its token, host and source of the producer, how many such pairs are counted
--       apart, number of causes of drops, then for each of them: the cause, how many more it has dropped; then for each
--       frame: its bytes, its records, when it was made (ms)
local log, meta, producers, list, locks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local pair, causes = ARGV[10], tonumber(ARGV[12])
local frames = 13 + 2 * causes -- the place of the first

-- Add to a count of the log's.
local function count(name, more)
  local added = redis.pcall('HINCRBY', meta, name, more)
  if type(added) == 'table' and added.err then
    redis.call('HSET', meta, name, '9223372036854775807') -- as many as can be counted
  end
end

-- Move the counts of the pair that has dropped nothing for longest into those of the others, if there are too many.
local function make_room()
  local values, pairs_, oldest = named(redis.call('HGETALL', meta)), 0, nil
  for name, at in pairs(values) do
    if string.sub(name, 1, 11) == 'dropped_at:' then
      pairs_ = pairs_ + 1
      if not oldest or tonumber(at) < tonumber(values[oldest]) then
        oldest = name
      end
    end
  end
  if pairs_ > tonumber(ARGV[11]) then
    local prefix = 'dropped:' .. string.sub(oldest, 12) .. '\n'
    redis.call('HDEL', meta, oldest)
    for name, total in pairs(values) do
      if string.sub(name, 1, #prefix) == prefix then
        count('dropped_other:' .. string.sub(name, #prefix + 1), total)
        redis.call('HDEL', meta, name)
      end
    end
  end
end

local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return {'gone'}
end
if list and not held(locks, ARGV[8], ARGV[9]) then
  return {'fenced'}
end
local row = redis.call('HGET', producers, ARGV[1]) or ''
if row ~= ARGV[2] then
  return {'row', row}
end
-- Only now, for a repeated call finds another row: its items are gone, and the next ones may look the same.
if list then
  local first, last = redis.call('LINDEX', list, 0), redis.call('LINDEX', list, ARGV[5] - 1)
  if not first or not last or string.sub(first, 1, #ARGV[6]) ~= ARGV[6] or string.sub(last, 1, #ARGV[7]) ~= ARGV[7] then
    return {'changed'}
  end
end
local bytes, records = 0, 0
for i = frames, #ARGV, 3 do
  bytes = bytes + #ARGV[i]
  records = records + ARGV[i + 1]
end
if records > 0 then
  local used, cap = number(meta, 'bytes') - number(meta, 'trimmed_bytes'), number(meta, 'max_bytes')
  if used + bytes > cap then
    return {'full', text(used), text(cap)}
  end
end
if #ARGV < frames then
  begin_to_write(producers) -- what is there already may be sent again, and a farewell come, with no memory left
end
if list then
  begin_to_write(meta) -- what is moved needs less memory than before, so it may be moved when there is none left
end
local last = tonumber(string.match(row, '|(%d+)$') or '0')
local at, step = math.max(now(), number(meta, 'last') + 1), 1
if number(meta, 'shards') > 1 then -- positions of two shards are never the same
  step = 64
  at = at + step - at % step + number(meta, 'shard')
end
-- Beside the frame: its records, when it was made, and all records and bytes that the log was given before it.
local before, size = number(meta, 'stored'), number(meta, 'bytes')
for i = frames, #ARGV, 3 do
  local fields = {'f', ARGV[i], 'n', ARGV[i + 1], 't', ARGV[i + 2], 's', text(before), 'b', text(size)}
  local added = redis.pcall('XADD', log, text(at) .. '-0', unpack(fields))
  if type(added) == 'table' and added.err then
    if not string.find(added.err, 'equal or smaller', 1, true) then
      return added -- the memory is full: nothing is written yet
    end
    -- Somebody else has written to the stream.
    at = parts(named(redis.call('XINFO', 'STREAM', log))['last-generated-id'])
    at = at + 1024 - at % 1024 + number(meta, 'shard')
    redis.call('XADD', log, text(at) .. '-0', unpack(fields))
  end
  last = at
  at, before, size = at + step, before + ARGV[i + 1], size + #ARGV[i]
end
local new = ARGV[3] .. '|' .. text(last)
redis.call('HSET', producers, ARGV[1], new)
if records > 0 then
  redis.call('HSET', meta, 'last', text(last))
  redis.call('HINCRBY', meta, 'stored', text(records))
  redis.call('HINCRBY', meta, 'bytes', text(bytes))
end
if ARGV[4] ~= '0' then
  count('lost', ARGV[4])
end
if causes > 0 then
  for i = 13, frames - 1, 2 do
    count('dropped:' .. pair .. '\n' .. ARGV[i], ARGV[i + 1])
  end
  if redis.call('HSET', meta, 'dropped_at:' .. pair, text(at)) == 1 then
    make_room()
  end
end
if list then
  redis.call('LTRIM', list, ARGV[5], -1)
end
return {'ok', new}
