"""Who a creator is, as Stripe Connect says of the account: in the end what it says now, however webhooks come."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("stripe", reason="the extra stripe is not installed")

from gifting import errors
from gifting.ledger.entries import AccountChange
from gifting.model.creator import Destination
from tests.support.stripe_books import Books, entries, known, kyc
from tests.support.stripe_connect import ACCOUNT, Connect, an_account
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""What the library's own requests warn of."""

KYC: list[tuple[dict[str, Any], str]] = [
    ({}, "verified"),
    ({"payouts_enabled": False}, "pending"),
    ({"capabilities": {"transfers": "pending"}}, "pending"),
    ({"payouts_enabled": False, "details_submitted": False}, "none"),
    ({"metadata": {"gifting_creator": "eve"}}, "none"),
    ({"payouts_enabled": False, "requirements": {"disabled_reason": "rejected.fraud"}}, "rejected"),
]


@pytest.mark.parametrize(("account", "expected"), KYC)
async def test_an_account_says_who_its_creator_is(
    books: Books, world: World, connect: Connect, account: dict[str, Any], expected: str
) -> None:
    await known(world, kyc="none" if expected != "none" else "pending")
    connect.accounts[ACCOUNT] = an_account(**account)
    body = connect.event("account.updated", an_account())
    assert [await books.told(body) for _ in range(2)] == [1, 0]
    assert await kyc(world) == expected
    last = (await entries(world, AccountChange))[-1]
    assert (last.what, last.value, last.by) == ("kyc", f"{expected}: {ACCOUNT}", "stripe")


async def test_an_event_of_before_changes_nothing_and_what_it_is_not_about_neither(
    books: Books, world: World, connect: Connect
) -> None:
    old = connect.event("account.updated", an_account(payouts_enabled=False))
    assert await books.told(old) == 0 and await kyc(world) == "verified"
    connect.accounts["acct_2eve"] = an_account("acct_2eve", "host", payouts_enabled=False)
    assert await books.told(connect.event("account.updated", connect.accounts["acct_2eve"], "acct_2eve")) == 0
    assert await books.told(connect.event("account.updated", an_account(metadata=None))) == 0
    assert await kyc(world) == "verified"


async def test_who_is_rejected_is_verified_by_an_operator_only(books: Books, world: World, connect: Connect) -> None:
    await known(world, kyc="rejected")
    assert await books.told(connect.event("account.updated", an_account())) == 0
    with pytest.raises(errors.KycRequired):
        await books.request()
    await known(world, kyc="none")
    await books.request()
    assert await kyc(world) == "verified", "no webhook told: asked when it mattered"


async def test_an_answer_that_is_overtaken_does_not_stay(books: Books, world: World, connect: Connect) -> None:
    """What was asked before the account changed is written after another webhook has been done with."""
    asked = books.stripe.identity
    late = [an_account(payouts_enabled=False)]

    async def overtaken(creator: str, to: Destination) -> Any:
        if not late:
            return await asked(creator, to)
        connect.accounts[ACCOUNT] = late.pop()
        answer = await asked(creator, to)
        connect.accounts[ACCOUNT] = an_account()
        assert await books.payouts.identities.ask("host") is False
        return answer

    books.stripe.identity = overtaken  # type: ignore[method-assign]
    assert await books.told(connect.event("account.updated", an_account())) == 1
    assert await kyc(world) == "verified"
