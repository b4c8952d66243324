-- Lua as Redis runs it. tests/unit/test_luacheck.py checks the scripts with their includes in them.
std = {
  globals = { "KEYS" },
  read_globals = {
    "ARGV", "bit", "cmsgpack", "redis", "struct",
    "error", "ipairs", "math", "next", "pairs", "pcall", "setmetatable", "string", "table", "tonumber", "type", "unpack",
  },
}
max_line_length = 120
