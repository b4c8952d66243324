-- wire: values as wire bytes. cmsgpack.pack makes a string of each value and joins those, and Lua interns every string
-- by a sample of its bytes: so what recurs is packed once, and what is long is joined once, from pieces.
--   wire[value]               a string's or a number's wire bytes, packed once per script
--   string_head(size)         what goes before a string of so many bytes
local pack = cmsgpack.pack
local wire = setmetatable({ [0] = '\0', '\1' }, {
  __index = function(packed, value)
    local bytes = pack(value)
    packed[value] = bytes
    return bytes
  end,
})

local function string_head(size)
  if size < 32 then
    return string.char(0xa0 + size)
  elseif size < 256 then
    return struct.pack('>BB', 0xd9, size)
  elseif size < 65536 then
    return struct.pack('>BI2', 0xda, size)
  end
  return struct.pack('>BI4', 0xdb, size)
end
