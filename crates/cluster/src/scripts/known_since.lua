-- Answers for how many ms this run of Redis has been known. KEYS: known since. ARGV: run.
-- After a restart the last second may be missing, after it was emptied everything: it is known anew.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
    redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.0f', now))
end
return string.format('%.0f', now - tonumber(redis.call('HGET', KEYS[1], 'since')))
