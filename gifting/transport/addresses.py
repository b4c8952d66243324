"""Whose an address is: this machine's, a proxy's, or a client's, and then which count as one."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

from gifting.errors import BadSetting

_PORT = re.compile(r":\d*\Z")


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


def is_asked_from_here(client: tuple[str, int] | None, named: str) -> bool:
    """Whether a browser or a program of this machine asks, by a name of this machine: ``named`` is its ``Host``.

    Without the name, a page from elsewhere could have its own name lead here.
    """
    named = _PORT.sub("", named).strip("[]")
    return is_here(client[0] if client else "") and (named == "localhost" or is_here(named or "?"))


def place_of(host: str) -> str:
    """What counts as one address: of IPv6 the first half, for the other is the client's own to choose."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(IPv6Network((address, 64), strict=False))


def trusted_proxies(text: str) -> Callable[[str], bool]:
    """Whether an address is one of ``text``: addresses or networks, comma-separated, or ``*``. Raises BadSetting."""
    parts = {part.strip() for part in text.split(",") if part.strip()}
    if "*" in parts:
        return lambda host: True
    try:
        networks = [ip_network(part, strict=False) for part in parts if "/" in part]
        hosts = frozenset(str(ip_address(part)) for part in parts if "/" not in part)
    except ValueError as error:
        raise BadSetting(f"forwarded_allow_ips is {text!r}: {error}.") from None

    def trusts(host: str) -> bool:
        host = host.removeprefix("::ffff:")  # how IPv4 looks to a socket of both kinds
        if host in hosts or not networks:
            return host in hosts
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return trusts
