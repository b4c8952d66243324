"""Whose an address is."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def is_here(host: str) -> bool:
    """Whether an address is this machine's own; that of a unix socket, which has none, is."""
    if not host:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
