-- Answers for how many ms the list has been kept (-1: it is not), then the live replicas, and
-- behind a hyphen the ids of those that left.
-- KEYS: expiries, replicas, since.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local since = redis.call('GET', KEYS[3])
local answer = {since and string.format('%.0f', now - tonumber(since)) or '-1'}
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
    if redis.call('ZSCORE', KEYS[1], known[i]) then
        table.insert(answer, known[i + 1])
    else
        -- Redis may come back with a part of what it knew: what never expires would stay for ever.
        redis.call('HDEL', KEYS[2], known[i])
    end
end
return answer
