"""Google's provider as the settings want it."""

from __future__ import annotations

from typing import Final

from gifting.economy.providers.google.access import Access
from gifting.economy.providers.google.play import LIVE, Play
from gifting.economy.providers.google.provider import Google
from gifting.economy.providers.google.push import HOST, Certificates, Pusher
from gifting.economy.providers.google.told import NAME
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.remote import Remote
from gifting.economy.providers.shelf import needed, read_file, shelf_of

NEEDED: Final = ("google_package", "google_service_account", "google_push_audience", "google_push_account")


def make(parts: Parts) -> Google:
    """Raises BadSetting."""
    settings = parts.settings
    needed(NAME, settings, *NEEDED)
    account = read_file("google_service_account", settings.google_service_account)
    access = Access(account.decode(errors="replace"))
    play = Play(Remote("Google", settings.google_api or LIVE), access, settings.google_package)
    certificates = Certificates(Remote("Google", settings.google_api or HOST))
    pusher = Pusher(certificates, settings.google_push_audience, settings.google_push_account)
    shelf = shelf_of(NAME, parts)
    return Google(play, pusher, shelf, parts.ledger.deliveries, settings.google_package, live=settings.stores_live)
