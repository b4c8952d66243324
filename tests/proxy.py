"""A proxy that fails on demand, between a client and a server or between a server and its Redis."""

from gifting.bench.soak.proxy import Proxy

__all__ = ["Proxy"]
