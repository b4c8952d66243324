"""The note by which commands find a server: whose it is, what it tells, and how long it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifting.config import load
from gifting.running import Running, announced, find_running, notes_dir, reached_by

SECRET = "a secret of thirty-two characters"


def test_a_note_is_for_its_user_only_and_has_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    running = Running.of(load({"secret": SECRET, "data_dir": str(tmp_path)}, environ={}), "0.0.0.0", 8080)
    with announced(running):
        (note,) = notes_dir().iterdir()
        assert (notes_dir().stat().st_mode & 0o777, note.stat().st_mode & 0o777) == (0o700, 0o600)
        assert SECRET not in note.read_text()
        (found,) = find_running()
        assert (found, found.url) == (running, "http://127.0.0.1:8080")
    assert find_running() == []
    assert not list(notes_dir().iterdir())


def test_a_note_without_a_server_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    notes_dir().mkdir()
    (notes_dir() / "1.json").write_text("{}")
    assert find_running() == []
    assert not list(notes_dir().iterdir())


@pytest.mark.parametrize(
    ("host", "by"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")],
)
def test_who_listens_on_all_addresses_is_reached_by_one(host: str, by: str) -> None:
    assert reached_by(host) == by
