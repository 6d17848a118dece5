-- Push items onto a list that another program drains, but for those that were pushed before.
-- KEYS: list, what is known of the producer
-- ARGV: sequence of the first item, 1 if a gap before it is accepted, seconds to remember the producer, then the items;
--       an empty one only takes its number
-- Returns a state and the sequence that was expected.
local known = tonumber(redis.call('GET', KEYS[2]) or '0')
local first = tonumber(ARGV[1])
if first > known and ARGV[2] ~= '1' then
  return {'gap', text(known)}
end
local items = {}
for i = 4 + math.max(0, known - first), #ARGV do
  if ARGV[i] ~= '' then
    items[#items + 1] = ARGV[i]
  end
end
if #items > 0 then
  redis.call('RPUSH', KEYS[1], unpack(items))
end
-- Written even if it is the same: WAIT and WAITAOF look at what this connection has written.
redis.call('SET', KEYS[2], text(math.max(known, first + #ARGV - 3)), 'EX', ARGV[3])
return {'ok', text(known)}
