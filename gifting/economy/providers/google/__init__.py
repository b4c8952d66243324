"""Google Play: who may push (``push.py``), what is asked (``play.py``, ``access.py``), what it means (``told.py``)."""

from gifting.economy.providers.google.make import make as make
