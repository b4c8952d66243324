-- debit: the half of gifts that is in their senders' partitions: key, balance, ledger. Of the room it knows what the
-- gift says.
--   debit.new(now, window, lead, numerator, denominator, run)
--                                               the debits of a call: times in ms, diamonds per coin; run: as
--                                               spending's window
--   debit.add_bucket(d, at, key, number)        of keys, in the partition whose keys begin at KEYS[at], as
--                                               accounts.open takes them
--   debit.claim(d, place, time, digest, gift)   a gift under its key, in the bucket that was added as number `place`;
--                                               to be made of all gifts before they are loaded
--   debit.load(d)
--   debit.check_key(d, claim)                   as dedupe.check
--   debit.account(d, claim)                     the sender's, as spending.account gives it
--   debit.bad_amount(d, gift)                   why no gift can cost that: a status, or nil
--   debit.is_free(d, claim, account)            as spending.is_free
--   debit.refusal(d, claim, account)            why it can't be paid: as spending.refusal
--   debit.unasked(claim, account)               as spending.unasked
--   debit.take(d, claim, account)               the gift's coins; returns what spending.take does
--   debit.keep(claim, result)                   what is told to who asks again
--   debit.flush(d)                              write what was taken
--   debit.flush_results(d)                      write what is kept
--   debit.guard(d, write, result)               as dedupe.guard
-- The gift is all that passes from here to credit, and it can be packed: strings, numbers, false, tables of these.
--   key       16 bytes, always: their number is in the ledger entry's header
--   user      who sends
--   count     how many
--   coins     what they cost
--   profile   the user, as wire bytes
--   sent      the event's fields count, coins and message, as wire bytes
--   terms     what holds for the sender, as terms.lua reads it: age, region; gift_cap, streak_cap, day_cap, month_cap,
--             confirm_above, in coins (MAX_AMOUNT: none); rate, burst_ms: its velocity (rate 0: any); confirm_first;
--             barred (a status, or 0), guarded, min_age
--   confirmed whether the sender was asked, and said yes
--   shown     the pseudonym under which the room knows an anonymous sender, or false
--   streak    'user\ngift', or false for one that is not streakable
--   target    number: its place among the call's targets, from 1; room, host: ids; about: the wire bytes that all
--             events of the target begin with; debited, credited: those that say in the ledger where the gift went,
--             room, host and gift, and room and host
-- @include status
-- @include is_amount
-- @include spending
-- @include dedupe
-- @include wire
local debit = {}
local DEBIT, OF_KEY = '\153\165debit', '\176' -- an array of 9 and its first field; of a string of 16 bytes

function debit.new(now, window, lead, numerator, denominator, run)
  return {
    now = now, run = run, numerator = numerator, denominator = denominator, entry = DEBIT .. wire[now] .. OF_KEY,
    keys = dedupe.new('keys', window, lead, 60000), partitions = { nil }, places = {}, buckets = { nil }, good = {},
  }
end

local function accounts_at(d, at)
  local a = d.places[at]
  if not a then
    a = accounts.open(at)
    d.places[at], d.partitions[#d.partitions + 1] = a, a
  end
  return a
end

function debit.add_bucket(d, at, key, number)
  d.buckets[#d.buckets + 1] = dedupe.bucket(d.keys, accounts_at(d, at), key, number)
end

function debit.claim(d, place, time, digest, gift)
  local bucket = d.buckets[place]
  hash.want(bucket, gift.key)
  hash.want(bucket.accounts.coins, gift.user)
  return { bucket = bucket, time = time, digest = digest, gift = gift }
end

function debit.load(d)
  dedupe.load(d.keys)
  for _, a in ipairs(d.partitions) do
    accounts.load(a)
  end
end

function debit.check_key(d, claim)
  return dedupe.check(d.keys, claim.bucket, claim.gift.key, claim.time, claim.digest, d.now)
end

function debit.account(d, claim)
  return spending.account(claim.bucket.accounts, claim.gift.user, d.now)
end

function debit.bad_amount(d, gift)
  local coins = gift.coins
  if d.good[coins] then
    return nil
  elseif not is_amount(coins) or coins * d.numerator + d.denominator > MAX_AMOUNT then
    return Status.BAD_AMOUNT
  end
  d.good[coins] = true
  return nil
end

function debit.is_free(d, claim, account)
  return spending.is_free(account, claim.gift, d.now, d.run)
end

function debit.refusal(d, claim, account)
  return spending.refusal(claim.bucket.accounts, account, claim.gift, d.now, d.run)
end

function debit.unasked(claim, account)
  return spending.unasked(account, claim.gift)
end

function debit.take(d, claim, account)
  local a, gift = claim.bucket.accounts, claim.gift
  local target, e = gift.target, a.entries
  local n = e.n
  e[n + 1], e[n + 2], e[n + 3] = d.entry, gift.key, wire[gift.user]
  e[n + 4], e[n + 5], e[n + 6] = target.debited, wire[gift.count], wire[gift.coins]
  e.n = n + 6
  return spending.take(a, account, gift, d.now, d.run)
end

function debit.keep(claim, result)
  dedupe.keep(claim.bucket, claim.gift.key, claim.digest, result)
end

function debit.flush(d)
  for _, a in ipairs(d.partitions) do
    accounts.flush_spent(a)
  end
end

function debit.flush_results(d)
  dedupe.flush(d.keys)
end

function debit.guard(d, write, result)
  dedupe.guard(d.keys, write, result)
end
