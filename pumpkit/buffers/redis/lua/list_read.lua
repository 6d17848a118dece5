-- Return the beginning of a list: so many items within so many bytes, at least one. With more keys, also take these
-- items off it, into a list of their own where they wait under a number until `list_done`; what waits there comes first.
-- KEYS: list [, in flight, state, locks]
-- ARGV: items, bytes, how much of one item is returned [, lease that allows it, its token, a new producer, the producer
--       and the sequence that the caller expects, microseconds after which the new producer is used anyway]
-- Returns a state, the items, the whole length of one of which only the beginning is returned (else 0), and their
-- producer and the sequence of the first one.
local list, flight, state, locks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most, room, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local items, cut = {}, 0
local time = now()

for _, key in ipairs({list, flight}) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'list' and kind ~= 'none' then
    return {'type', kind, key}
  end
end

-- In slices, fewer of large items, so that only a few of them are held at a time.
local function read(source)
  local bytes, step = 0, 1
  while #items < most do
    local slice = redis.call('LRANGE', source, #items, math.min(#items + step, most) - 1)
    if #slice == 0 then
      return
    end
    for _, item in ipairs(slice) do
      bytes = bytes + #item
      if bytes > room and #items > 0 then
        return
      end
      items[#items + 1] = item
    end
    step = math.max(1, math.min(100, math.floor(1048576 / (bytes / #items + 1))))
  end
end

local first, producer = '0', ''
if flight and not held(locks, ARGV[4], ARGV[5]) then
  return {'fenced'}
end
local waiting = flight and redis.call('LLEN', flight) or 0
if waiting > 0 then
  most, room = waiting, math.huge
  read(flight)
else
  read(list)
end
if flight and #items > 0 then
  local known = redis.call('HMGET', state, 'producer', 'first', 'at')
  producer, first = known[1], known[2]
  if waiting > 0 and not (producer and first) then -- somebody removed it
    producer, first = ARGV[6], '0'
    redis.call('HSET', state, 'producer', producer, 'first', first, 'at', text(time))
  elseif waiting == 0 then
    -- A server that was started anew may have forgotten what it said last, and so which numbers are taken: only what
    -- the caller itself has seen is good.
    if producer ~= ARGV[7] or first ~= ARGV[8] or time - known[3] > tonumber(ARGV[9]) then
      producer, first = ARGV[6], '0'
    end
    begin_to_write(state)
    redis.call('HSET', state, 'producer', producer, 'first', first, 'at', text(time))
    -- A move: it goes on even if no memory is left.
    for i = 1, #items, 64 do
      redis.call('RPUSH', flight, unpack(items, i, math.min(i + 63, #items)))
    end
    redis.call('LTRIM', list, #items, -1)
  end
end
if #items == 1 and #items[1] > keep then
  cut = #items[1]
  items[1] = string.sub(items[1], 1, keep)
end
return {'ok', items, text(cut), producer, first}
