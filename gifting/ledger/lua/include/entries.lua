-- entries: the ledger stream of a partition. Every change is one entry; a batch's entries share a stream item.
--   add(base, kind, ...)  note an entry [kind, ...]
--   flush()               append what was noted to each partition's stream
local entries = { noted = {} }

function entries.add(base, ...)
  local noted = entries.noted[base]
  if not noted then
    noted = {}
    entries.noted[base] = noted
  end
  noted[#noted + 1] = cmsgpack.pack({ ... })
end

function entries.flush()
  for base, noted in pairs(entries.noted) do
    redis.call('XADD', base .. ':ledger', '*', 'e', table.concat(noted))
  end
  entries.noted = {}
end
