"""The Lua files: what their headers promise, what they share, and the keys they touch. No Redis here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gifting import errors
from gifting.ledger import commit_keys, keys, scripts
from gifting.ledger.status import Status
from gifting.model import money

LUA = Path(scripts.__file__).parent / "lua"
COMMANDS = sorted(LUA.glob("*.lua"))
INCLUDES = sorted((LUA / "include").glob("*.lua"))
INCLUDE = re.compile(r"^-- @include (\w+)(?:, late)?$", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.stem


def header(path: Path, shebang: bool = False) -> list[str]:
    """The comment at the top, without its shebang unless that is asked for."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = int(lines[0].startswith("#!"))
    end = next(at for at in range(start, len(lines)) if not lines[at].startswith("--"))
    return lines[0 if shebang else start : end]


def code(path: Path) -> str:
    """The text without comments."""
    return re.sub(r"--.*", "", path.read_text(encoding="utf-8"))


def test_there_are_the_scripts_that_are_named() -> None:
    assert [path.stem for path in COMMANDS] == sorted(scripts.NAMES)


@pytest.mark.parametrize("path", COMMANDS, ids=name_of)
def test_a_command_says_what_it_takes_and_returns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = header(path)
    assert re.match(r"#!lua( flags=(no-writes|allow-oom))?\n", text)
    assert lines[0].startswith(f"-- {path.stem}: ")
    kinds = [match[1] for line in lines if (match := re.match(r"-- (KEYS|ARGV|returns) +\S", line))]
    assert kinds == ["KEYS", "ARGV", "returns"]
    for array in ("KEYS", "ARGV"):
        assert {int(number) for number in re.findall(rf"{array}\[(\d)\]", code(path))} <= numbered(lines, array)
    assert len(numbered(lines, "ARGV")) == len(set(re.findall(r"ARGV\[\d\]", code(path))))


def numbered(lines: list[str], array: str) -> set[int]:
    """The numbers under which a header lists the values of KEYS or ARGV."""
    section, found = "", set()
    for line in lines:
        if match := re.match(r"-- (KEYS|ARGV|returns)? *(?:\[(\d)\+?\]|\S)", line):
            section = match[1] or section
            if section == array and match[2]:
                found.add(int(match[2]))
    return found


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if "no-writes" in header(path, shebang=True)[0]], ids=name_of
)
def test_a_command_that_says_so_does_not_write(path: Path) -> None:
    called = set(re.findall(r"redis\.call\('([A-Z]+)'", code(path)))
    assert called <= {"HMGET", "HGETALL", "XRANGE", "ZCARD", "ZRANGEBYSCORE", "ZREVRANGE"}


@pytest.mark.parametrize("path", INCLUDES, ids=name_of)
def test_an_include_says_what_it_is_and_is_used(path: Path) -> None:
    assert re.match(rf"-- (\w+\()?{path.stem}|-- \w+\(", header(path)[0])
    others = [other for other in (*COMMANDS, *INCLUDES) if other != path]
    assert any(path.stem in INCLUDE.findall(other.read_text(encoding="utf-8")) for other in others)


@pytest.mark.parametrize("path", INCLUDES, ids=name_of)
def test_an_include_lists_the_functions_it_offers(path: Path) -> None:
    offered = re.findall(rf"^function ({path.stem}\.\w+)", code(path), re.MULTILINE)
    used = "".join(code(other) for other in (*COMMANDS, *INCLUDES) if other != path)
    listed = " ".join(header(path))
    for function in offered:
        if function + "(" in used:
            assert function + "(" in listed, f"{function} is not in the header of {path.name}"


def included(path: Path) -> set[str]:
    """What a file includes, directly or not."""
    direct = set(INCLUDE.findall(path.read_text(encoding="utf-8")))
    return direct.union(*(included(LUA / "include" / f"{name}.lua") for name in direct))


@pytest.mark.parametrize("path", [*COMMANDS, *INCLUDES], ids=name_of)
def test_what_is_used_is_included(path: Path) -> None:
    for other in INCLUDES:
        if other != path and re.search(rf"(?<![\w.']){other.stem}\.\w+\(", code(path)):
            assert other.stem in included(path), f"{path.name} uses {other.stem}"


@pytest.mark.parametrize("name", scripts.NAMES)
def test_each_include_is_there_once(name: str) -> None:
    text = scripts.source(name)
    assert "@include" not in text
    for include in INCLUDES:
        assert text.count(header(include)[0]) <= 1
    assert len(scripts.sha(name)) == 40


def test_a_table_of_functions_has_a_place_for_each() -> None:
    assert "\nroom = { KEYS = 5, open = false, blank = false, " in scripts.source("commit")


def test_the_statuses_are_those_of_python() -> None:
    text = (LUA / "include" / "status.lua").read_text(encoding="utf-8")
    found = {name: int(number) for name, number in re.findall(r"^  (\w+) = (\d+),$", text, re.MULTILINE)}
    assert found == {status.name: status.value for status in Status}
    used = set(re.findall(r"Status\.(\w+)", "".join(map(code, (*COMMANDS, *INCLUDES)))))
    by_terms = {"AGE_REQUIRED", "REGION_NOT_ALLOWED", "ACCOUNT_NOT_ALLOWED"}  # ledger/gifts.py: barring
    assert used | by_terms == set(found)


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_a_refusal_is_the_error_of_its_name(status: Status) -> None:
    assert status.error.code == status.name.lower()
    assert issubclass(status.error, (errors.Refused, errors.Limited, errors.BadRequest, errors.Unavailable))


def test_the_largest_amount_is_that_of_python() -> None:
    assert f"MAX_AMOUNT = {money.MAX_AMOUNT}\n" in (LUA / "include" / "amount.lua").read_text(encoding="utf-8")


def test_the_numbers_of_keys_and_what_a_bucket_spans_are_those_of_python() -> None:
    grant = code(LUA / "grant.lua")
    accounts, room = code(LUA / "include" / "accounts.lua"), code(LUA / "include" / "room.lua")
    credit = code(LUA / "include" / "credit.lua")
    assert f"credit = {{ KEYS = {commit_keys.HOSTS_KEYS} }}\n" in credit
    assert len(keys.credit_keys("")) == commit_keys.HOSTS_KEYS
    assert len(keys.account_keys("")) == commit_keys.SENDERS_KEYS
    house = code(LUA / "include" / "house.lua")
    assert f"room = {{ KEYS = {len(keys.room_keys('', ''))} }}\n" in room
    assert f"house = {{ KEYS = {len(keys.house_keys('', '', ''))} }}\n" in house
    assert len([*keys.room_keys("", ""), *keys.house_keys("", "", "")]) == commit_keys.ROOM_KEYS
    assert f"accounts = {{ KEYS = {len(keys.account_keys(''))} }}\n" in accounts
    assert f", {keys.BUCKET_MS})" in code(LUA / "include" / "debit.lua")
    assert f", {keys.DAY_MS})" in grant


def test_the_halves_of_a_gift_know_nothing_of_each_other() -> None:
    debit, credit = (included(LUA / "include" / f"{half}.lua") for half in ("debit", "credit"))
    assert not debit & {"credit", "earnings", "room", "streaks", "ranking"}
    assert not credit & {"debit", "accounts", "dedupe", "hash"}


@pytest.mark.parametrize("path", [*COMMANDS, *INCLUDES], ids=name_of)
def test_a_file_is_seen_at_a_glance(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 200
