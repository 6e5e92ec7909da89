-- Answers for how many ms this Redis has been known. KEYS: known since.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', now), 'NX')
return string.format('%.0f', now - tonumber(redis.call('GET', KEYS[1])))
