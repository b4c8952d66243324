"""Google Play: who may push (``push.py``), what is asked (``play.py``, ``access.py``), what it means (``told.py``)."""
