-- Renews a channel's lease. KEYS: lease. ARGV: owner, ttl in ms. Answers whether it is still held.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
