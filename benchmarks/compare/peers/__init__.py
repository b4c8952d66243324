"""One file per family of servers; :mod:`benchmarks.compare.registry` finds what is here."""
