-- Takes one request out of the last second's budget. KEYS: sent, pause. ARGV: budget.
-- Answers 0 if it may be sent, else after how many ms to ask again.
-- The newest `budget` requests are kept: the one that many ago must be a second old.
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then
    return pause
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local oldest = redis.call('LINDEX', KEYS[1], tonumber(ARGV[1]) - 1)
-- A clock that was set back must not stop everything.
if oldest and tonumber(oldest) <= now and now - tonumber(oldest) < 1000000 then
    return math.ceil((1000000 - (now - tonumber(oldest))) / 1000)
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, 999)
redis.call('PEXPIRE', KEYS[1], 2000)
return 0
