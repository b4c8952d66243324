"""``gifting bench --soak``: two nodes on one Redis, and viewers who come and go, for as long as one likes."""

from gifting.bench.soak.options import SoakOptions, SoakResult, parse_duration
from gifting.bench.soak.run import run_soak

__all__ = ["SoakOptions", "SoakResult", "parse_duration", "run_soak"]
