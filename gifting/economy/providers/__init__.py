"""Providers of payments, a module each behind one interface: ``base.py``. Which are in use: ``registry.py``."""
