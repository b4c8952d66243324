"""``python -m benchmarks.chaos``: faults of every kind on a Redis Cluster, against a reference that forgets nothing."""
