-- new_target(…), new_gift(…): what debit.lua says of gifts, made of their fields on the wire (ledger/gifts.py).
local function new_target(number, id, host, gift, streakable, about)
  return {
    number = number, room = id, host = host, about = about, debited = cmsgpack.pack(id, host, gift),
    credited = cmsgpack.pack(id, host), suffix = streakable == 1 and '\n' .. gift,
  }
end

local function new_gift(target, terms, user, key, count, coins, profile, sent, confirmed, shown)
  return {
    key = key, user = user, count = count, coins = coins, profile = profile, sent = sent, target = target,
    terms = terms, confirmed = confirmed == 1, shown = shown,
    streak = target.suffix and (shown or user) .. target.suffix,
  }
end
