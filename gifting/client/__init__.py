"""The Python client, see :class:`Client`; and an operator's calls, see :class:`Admin`."""

from gifting.client.admin import Admin
from gifting.client.client import Client

__all__ = ["Admin", "Client"]
