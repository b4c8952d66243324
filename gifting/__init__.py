"""A real-time gifting server for live streams. ``gifting.Client`` talks to one from Python."""

from gifting.client import Client

__all__ = ["Client"]
