-- Takes a replica out of the list. KEYS: expiries, replicas. ARGV: id, ttl in ms.
-- That it left is kept for the time of a registration, for those who could believe that the list
-- has only not heard of it yet.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], '-' .. ARGV[1])
return 1
