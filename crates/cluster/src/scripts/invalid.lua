-- Counts invalid requests by ten seconds, and answers how many there were in ten minutes.
-- KEYS: invalid. ARGV: how many to add.
local slot = math.floor(tonumber(redis.call('TIME')[1]) / 10)
if tonumber(ARGV[1]) > 0 then
    redis.call('HINCRBY', KEYS[1], string.format('%.0f', slot), ARGV[1])
    redis.call('EXPIRE', KEYS[1], 620)
end
local counts = redis.call('HGETALL', KEYS[1])
local sum = 0
for index = 1, #counts, 2 do
    if tonumber(counts[index]) < slot - 60 then
        redis.call('HDEL', KEYS[1], counts[index])
    else
        sum = sum + tonumber(counts[index + 1])
    end
end
return sum
