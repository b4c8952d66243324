"""``python -m benchmarks.compare``: this server and its peers, doing the same work for the same load."""
