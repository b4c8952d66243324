"""The Python client; see :class:`Client`."""

from gifting.client.client import Client

__all__ = ["Client"]
