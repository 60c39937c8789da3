-- Decides all limits of a request, or gives back what one took. KEYS[1] holds the server's time of the last change, in
-- microseconds, and for each limit the debt then: the time until its bucket is full, in that limit's units. All
-- numbers are integers below 2^53, where Lua's are exact.
--
-- ARGV[1]: operation (0 look, 1 take, 2 refund), longest wait and delay in microseconds; then for each limit what is taken
-- and what a bucket holds in units, and units per microsecond.
-- Reply: 1 if taken or else 0, and the debt of each limit before it.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local value = redis.call('GET', KEYS[1])
local arg, a = string.gmatch(ARGV[1], '%d+') -- the state, a, is nil in Redis, whose iterator needs none
local op, wait, delay = arg(a), arg(a) + 0, arg(a) + 0
local taken = op ~= '0'
local elapsed, held, h, back = 0, nil, nil, false
if value then
  held, h = string.gmatch(value, '%d+')
  elapsed = now - held(h)
  if elapsed < 0 then -- the clock was set back: no time has passed, and from here on it runs again
    elapsed, back = 0, true
  end
end
local reply, before, after, longest, shorter = {0}, '', '', 0, 0
local n = 1
for units in arg, a do
  local span, per = arg(a), arg(a)
  local debt = 0
  if held then
    debt = held(h) - elapsed * per
    if debt < 0 then debt = 0 end
  end
  n = n + 1
  reply[n] = debt
  local new
  if op == '2' then
    new = debt - units
    if new < 0 then new = 0 end
  else
    new = delay * per
    if debt > new then new = debt end
    new = new + units
    if new - span > wait * per then taken = false end
  end
  after = after .. string.format(' %.0f', new)
  if new / per > longest then longest = new / per end
  if back then
    before = before .. string.format(' %.0f', debt)
    if debt / per > shorter then shorter = debt / per end
  end
end
if taken then
  reply[1] = 1
elseif back then
  after, longest = before, shorter
else
  return reply
end
if longest == 0 then -- full again is as good as none
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], string.format('%.0f', now) .. after, 'PXAT',
    string.format('%.0f', math.ceil((now + longest) / 1000)))
end
return reply
