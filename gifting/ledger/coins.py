"""How many coins were issued and spent in all, as the partitions' totals say; read now and then, for the metrics."""

from __future__ import annotations

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys


class Coins:
    """Over all users and nodes, as of the last :meth:`read`."""

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._bases = keys.bases
        self.issued = 0
        self.spent = 0

    async def read(self) -> None:
        """Ask Redis, once for all partitions. Raises RedisError, OSError."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._bases:
            pipe.hmget(f"{base}:totals", ("issued", "spent"))
        totals = await pipe.execute()
        self.issued = sum(int(issued or 0) for issued, _ in totals)
        self.spent = sum(int(spent or 0) for _, spent in totals)
