"""How a server that runs on this machine is reached."""

from __future__ import annotations

import pytest

from gifting.running import reached_by


@pytest.mark.parametrize(
    ("host", "by"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")]
)
def test_who_listens_on_all_addresses_is_reached_by_one(host: str, by: str) -> None:
    assert reached_by(host) == by
