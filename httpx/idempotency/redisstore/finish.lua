-- Keeps an answer, where ARGV's run holds the record and has not finished it, or there is none. See begin.lua for what a record is.
--
-- ARGV: run, fingerprint, time to live in milliseconds, answer.
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 1, 17) == 'P' .. ARGV[1] then
  redis.call('SET', KEYS[1], 'F' .. ARGV[1] .. ARGV[2] .. ARGV[4], 'PX', ARGV[3])
end
return 1
