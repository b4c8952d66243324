"""Books are moved from one Redis to a Redis Cluster: copied and compared, until nothing differs any more."""
