"""Wallets: coins that users have, milli-diamonds that hosts have earned, and grants of coins."""

from __future__ import annotations

from gifting.config import Settings
from gifting.errors import BadAmount, OutcomeUnknown
from gifting.ledger.account import read_account
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import DAY_MS, account_keys
from gifting.model.money import MAX_AMOUNT, content_digest, key_time, parse_key
from gifting.model.packing import pack, unpack
from gifting.model.values import Granted, Wallet


class Wallets:
    """Of all users. Keys of grants are good for ``grant_window``."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls = calls
        self._window_ms = round(settings.grant_window * 1000)
        self._lead_ms = round(settings.key_lead * 1000)

    async def grant(self, user: str, coins: int, key: str, reason: str, operator: str) -> Granted:
        """Issue coins, once per key.

        Raises:
            BadKey, BadAmount, KeyReused, KeyExpired, KeyInFuture, WalletFull, Unavailable.
        """
        raw_key = parse_key(key)
        if not 1 <= coins <= MAX_AMOUNT:
            raise BadAmount(f"coins is {coins}.")
        base, made = self._calls.keys.base(user), key_time(raw_key)
        day = made // DAY_MS
        options = (
            self._window_ms,
            self._lead_ms,
            day,
            user,
            raw_key,
            made,
            content_digest(user, str(coins), reason),
            coins,
            reason,
            operator,
        )
        keys = [*account_keys(base, "grants"), f"{base}:grants:{day}"]
        status, duplicate, balance = unpack(await self._calls.timed("grant", keys, options, unsure=OutcomeUnknown))
        check(status)
        return Granted(balance, bool(duplicate))

    async def read(self, user: str) -> Wallet:
        """What a user has. Raises Unavailable."""
        base = self._calls.keys.base(user)
        pipe = self._calls.redis.pipeline(transaction=True)
        pipe.hget(f"{base}:coins", user).hget(f"{base}:diamonds", user)
        with translated():
            coins, diamonds = await pipe.execute()
        return Wallet(read_account(coins).coins, int(diamonds or 0))

    async def announce(self, user: str) -> None:
        """Tell all processes what a user has by now. Raises Unavailable."""
        coins = (await self.read(user)).coins
        with translated():
            await self._calls.redis.spublish(self._calls.keys.balances, pack((user, coins)))
