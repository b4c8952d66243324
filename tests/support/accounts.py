"""Accounts, changed past the ledger."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gifting.ledger.account import Account, read_account, write_account


async def account_of(redis: Any, base: str, user: str) -> Account:
    return read_account(await redis.hget(f"{base}:coins", user))


async def add_to_account(redis: Any, base: str, user: str, **more: int) -> None:
    """So much more in each of these fields."""
    account = await account_of(redis, base, user)
    changed = {name: getattr(account, name) + amount for name, amount in more.items()}
    await redis.hset(f"{base}:coins", user, write_account(replace(account, **changed)))
