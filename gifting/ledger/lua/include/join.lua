-- join(pieces, n, most): the first n of a table's strings as one; of `most` of them it is known that they are mostly
-- less than 8 KiB. table.concat makes a string of each 8 KiB, and joins these again and again; and Lua hashes every
-- string that is made, newer engines byte by byte. So here what fits is joined first, and then all of it. (It is one
-- function since a script makes its functions anew in each call.)
local function join(pieces, n, most)
  if n <= most then
    return table.concat(pieces, '', 1, n)
  end
  local c, m = {}, 0
  for from = 1, n, most do
    m = m + 1
    c[m] = table.concat(pieces, '', from, math.min(from + most - 1, n))
  end
  while m > 1 do
    local joined, count = {}, 0
    for i = 1, m, 16 do
      count = count + 1
      joined[count] = c[i] .. (c[i + 1] or '') .. (c[i + 2] or '') .. (c[i + 3] or '') .. (c[i + 4] or '')
        .. (c[i + 5] or '') .. (c[i + 6] or '') .. (c[i + 7] or '') .. (c[i + 8] or '') .. (c[i + 9] or '')
        .. (c[i + 10] or '') .. (c[i + 11] or '') .. (c[i + 12] or '') .. (c[i + 13] or '') .. (c[i + 14] or '')
        .. (c[i + 15] or '')
    end
    c, m = joined, count
  end
  return c[1]
end
