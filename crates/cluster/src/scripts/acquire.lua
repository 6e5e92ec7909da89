-- Takes a channel's lease if it is free, with the next epoch; else notes what was heard of.
-- KEYS: lease, epoch. ARGV: owner, ttl in ms, position heard of.
-- Answers the epoch, or '' if another holds it. The same owner asking again is answered alike.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner then
    if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[1], 'heard')) then
        redis.call('HSET', KEYS[1], 'heard', ARGV[3])
    end
    if owner == ARGV[1] then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return redis.call('HGET', KEYS[1], 'epoch')
    end
    return ''
end
-- The clock is the lower bound, so that epochs rise even if the counter was lost.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local epoch = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], epoch, 'EX', 86400)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'heard', ARGV[3], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return epoch
