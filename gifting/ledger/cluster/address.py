"""Where a Redis Cluster is and how one gets in: one URL, which names some of its nodes."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from gifting.errors import BadSetting

SCHEMES: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
"""Of a cluster, and of each of its nodes: the second with TLS."""

DEFAULT_PORT: Final = 6379


def is_cluster(url: str) -> bool:
    """Whether a URL is that of a cluster."""
    return url.partition("://")[0] in SCHEMES


class ClusterAddress:
    """``redis+cluster://user:password@host:port,host:port?options``; ``rediss+cluster://`` with TLS.

    User, password and options are as redis-py reads them, and the same for all nodes.

    Raises:
        BadSetting: the URL names no node, a port that is none, or a database, of which a cluster has but one.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        authority, path, self._query = _split(rest)
        entry, at, nodes = authority.rpartition("@")
        if path.strip("/0"):
            raise BadSetting("A Redis Cluster has one database only: leave the path of its URL out.")
        self.tls = scheme == "rediss+cluster"
        self._scheme, self._entry = SCHEMES[scheme], entry + at
        self.seeds: tuple[tuple[str, int], ...] = tuple(_read_node(node) for node in nodes.split(","))
        """The nodes that the URL names: host and port."""

    def url_of(self, host: str, port: int) -> str:
        """The URL of one node, as redis-py and :class:`gifting.ledger.address.Address` take it."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return urlunsplit((self._scheme, self._entry + where, "", self._query, ""))


def _split(rest: str) -> tuple[str, str, str]:
    """Authority, path and query of what follows a scheme; ``urlsplit`` takes no bracket inside an authority."""
    rest = rest.partition("#")[0]
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    return authority, slash + path, query


def _read_node(node: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{node}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise BadSetting(f"{node!r} is no node of a Redis Cluster: it must be host:port.")
    return host, port or DEFAULT_PORT
