-- Raises the epoch of a held lease above a floor. KEYS: lease, epoch. ARGV: owner, floor.
-- Answers the new epoch, or '' if another holds the lease.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
    return ''
end
local held = tonumber(redis.call('HGET', KEYS[1], 'epoch'))
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local epoch = string.format('%.0f', math.max(last, held, tonumber(ARGV[2])) + 1)
redis.call('SET', KEYS[2], epoch, 'EX', 86400)
redis.call('HSET', KEYS[1], 'epoch', epoch)
return epoch
