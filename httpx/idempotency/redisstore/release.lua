-- Frees a key, where ARGV's run holds it and has not finished. See begin.lua for what a record is.
--
-- ARGV: run.
if redis.call('GETRANGE', KEYS[1], 0, 16) == 'P' .. ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
