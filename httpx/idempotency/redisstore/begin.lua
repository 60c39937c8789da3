-- Claims a key, or says what is there. KEYS[1] holds a letter, the run of 16 bytes and the fingerprint of 32, and then: of P, in
-- progress, the end of its lease in milliseconds of the server's clock; of F, finished, the answer. Anything else is left
-- alone: what is not understood may be what protects somebody.
--
-- ARGV: run, fingerprint, lease and time to live in milliseconds.
-- Reply: a state of the Go package, or 0 for what is no record; the fingerprint; the answer.
local value = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not value then
  redis.call('SET', KEYS[1], 'P' .. ARGV[1] .. ARGV[2] .. string.format('%.0f', now + ARGV[3]), 'PX', string.format('%.0f', ARGV[3] + ARGV[4]))
  return {1, ARGV[2], ''}
end
local letter, run, fingerprint, rest = string.sub(value, 1, 1), string.sub(value, 2, 17), string.sub(value, 18, 49), string.sub(value, 50)
if letter == 'F' and rest ~= '' then
  return {4, fingerprint, rest}
end
local ends = tonumber(rest)
if letter ~= 'P' or not ends then
  return {0, '', ''}
end
if run == ARGV[1] then
  return {1, fingerprint, ''}
end
return {now < ends and 2 or 3, fingerprint, ''}
