-- Lua as Redis runs it. tests/unit/test_luacheck.py checks the scripts with their includes in them.
std = {
  read_globals = {
    "ARGV", "KEYS", "bit", "cmsgpack", "redis", "struct",
    "error", "ipairs", "math", "next", "pairs", "pcall", "setmetatable", "string", "table", "tonumber", "type", "unpack",
  },
}
max_line_length = 120
