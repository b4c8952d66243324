"""Apple's App Store: what it signs (``signed.py``), what that means (``told.py``), what it is asked (``api.py``)."""

from gifting.economy.providers.apple.make import make as make
