-- Takes the slot of an identify bucket. KEYS: slot. ARGV: period in ms.
-- Answers 0 if it is taken now, else how many ms remain.
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then
    return 0
end
return math.max(redis.call('PTTL', KEYS[1]), 1)
