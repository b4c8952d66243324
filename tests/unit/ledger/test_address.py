"""What is shown of where a Redis is."""

from __future__ import annotations

import pytest

from gifting.ledger.address import shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://:pa%40ss@h:1", "redis://h:1"),
        ("rediss://me:p@ss@h:1/2?ssl_cert_reqs=none&password=secret", "rediss://h:1/2"),
        ("redis+cluster://me:secret@one:1,[::1]:2,three?ssl_cert_reqs=none", "redis+cluster://one:1,[::1]:2,three"),
        ("unix://me:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("unix:///run/me@home/redis.sock", "unix:///run/me@home/redis.sock"),
    ],
)
def test_neither_password_nor_options_are_shown(url: str, said: str) -> None:
    assert shown(url) == said
