-- Decides all limits of a request, or gives back what one took. KEYS[1] holds the server's time of the last change, as
-- seconds and microseconds, and for each limit the debt then: the time until its bucket is full, in that limit's units.
-- Whatever else is there counts as nothing, and is written over. All numbers are integers below 2^53, where Lua's are exact.
--
-- ARGV, for each limit: units to take, none to look, or below zero to give back; units that a bucket holds; units per
-- microsecond. Then, where one of them is not zero, longest wait and delay in microseconds.
-- Reply: the debt of each limit before it, a list where there are several; the first is -1 - debt where nothing was changed.
local time = redis.call('TIME')
local seconds, micros = time[1], time[2]
local n, wait, delay = #ARGV, 0, 0
if n % 3 == 2 then wait, delay = ARGV[n - 1], ARGV[n] end
local value = redis.pcall('GET', KEYS[1]) -- a table where there is no string
local at, elapsed, back = nil, 0, false
if type(value) == 'string' then
  local _, last, s, u = string.find(value, '^(%d+) (%d+)')
  if last then
    at, elapsed = last + 1, (seconds - s) * 1000000 + (micros - u)
    if elapsed < 0 then -- the clock was set back: no time has passed, and from here on it runs again
      elapsed, back = 0, true
    end
  end
end
local debts, after, longest, changes, admitted = {}, '', 0, false, true
for i = 1, n - 2, 3 do
  local units, span, per = ARGV[i] + 0, ARGV[i + 1], ARGV[i + 2]
  local debt = 0
  if at then
    local _, last, held = string.find(value, '^ (%d+)', at)
    if last then
      at, debt = last + 1, held - elapsed * per
      if debt < 0 or debt > 2^53 then debt = 0 end
    end
  end
  debts[#debts + 1] = debt
  local new = delay * per
  if debt > new then new = debt end
  new = new + units
  if units > 0 then
    changes = true
    if new - span > wait * per then admitted = false end
  elseif units < 0 then
    changes = true
    if new < 0 then new = 0 end
  end
  after = after .. string.format(' %.0f', new)
  new = new / per
  if new > longest then longest = new end
end
if not (changes and admitted) then
  after, longest = '', 0
  if back then
    for i, debt in ipairs(debts) do
      after = after .. string.format(' %.0f', debt)
      longest = math.max(longest, debt / ARGV[3 * i])
    end
  end
  debts[1] = -1 - debts[1]
end
if longest > 0 then
  redis.call('SET', KEYS[1], seconds .. ' ' .. micros .. after, 'PXAT', seconds * 1000 + math.ceil((micros + longest) / 1000))
elseif changes and admitted then -- full again is as good as none
  redis.call('DEL', KEYS[1])
end
return debts[2] and debts or debts[1]
