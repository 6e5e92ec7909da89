-- Answers for how many ms the list has been kept (-1: it is not), then the live replicas, and
-- behind a hyphen the ids of those that left.
-- KEYS: expiries, replicas, since.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
end
local since = redis.call('GET', KEYS[3])
local answer = redis.call('HVALS', KEYS[2])
table.insert(answer, 1, since and string.format('%.0f', now - tonumber(since)) or '-1')
return answer
