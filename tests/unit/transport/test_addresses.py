"""Whose an address is. Pure."""

from __future__ import annotations

import pytest

from gifting.errors import BadSetting
from gifting.transport.addresses import place_of, trusted_proxies


def test_the_half_of_an_address_that_a_client_chooses_makes_no_other() -> None:
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert place_of("2001:db8:0:1::1") != place_of("2001:db8::1")
    assert place_of("fe80::1%eth0") == "fe80::/64"
    assert place_of("::ffff:192.0.2.1") == place_of("192.0.2.1") == "192.0.2.1"


def test_proxies_can_be_addresses_networks_or_all() -> None:
    assert trusted_proxies("*")("192.0.2.1")
    assert not trusted_proxies("")("192.0.2.1")
    assert trusted_proxies("2001:db8::/32")("2001:db8::1")
    assert not trusted_proxies("2001:db8::/32")("no address")
    with pytest.raises(BadSetting, match="forwarded_allow_ips"):
        trusted_proxies("proxy.example")
