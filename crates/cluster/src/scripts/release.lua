-- Gives a channel back, unless something was heard of above the read mark.
-- KEYS: lease, exchange. ARGV: owner, read mark, ttl in ms, exchange open until ('' to leave it
-- as it is, '0' to close it), for how many ms to keep that.
-- Answers -1 if another holds it, 0 if it is free now, else the position heard of.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
    return '-1'
end
local heard = redis.call('HGET', KEYS[1], 'heard')
if tonumber(heard) > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return heard
end
if ARGV[4] == '0' then
    redis.call('DEL', KEYS[2])
elseif ARGV[4] ~= '' then
    redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
end
redis.call('DEL', KEYS[1])
return '0'
