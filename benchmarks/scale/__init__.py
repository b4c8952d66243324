"""``python -m benchmarks.scale``: what a crowd of millions takes, computed from what was measured."""
