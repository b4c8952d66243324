"""A Stripe of the test's own: connected accounts, transfers, their reversals, payouts to banks; it remembers them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from stripe import WebhookSignature

from gifting.economy.payers.connect_events import CREATOR
from tests.support.http_server import Answer, Asked, HttpServer

KEY, SECRET = "sk_test_1", "whsec_connect"
ACCOUNT = "acct_1host"


class No(Exception):
    """Stripe refuses it. ``code`` may be ''."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def an_account(name: str = ACCOUNT, creator: str = "host", **more: Any) -> dict[str, Any]:
    usual = {
        "id": name,
        "object": "account",
        "metadata": {CREATOR: creator},
        "details_submitted": True,
        "payouts_enabled": True,
        "capabilities": {"transfers": "active"},
        "requirements": {"disabled_reason": None, "past_due": [], "currently_due": [], "pending_verification": []},
        "settings": {"payouts": {"schedule": {"interval": "manual"}}},
    }
    return {**usual, **more}


class Connect:
    """Money is in Stripe's own units. ``now`` is in seconds; ``forgets``: idempotency keys are not kept."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.server = HttpServer(self._answer)
        self.now = now
        self.accounts = {ACCOUNT: an_account()}
        self.balance: dict[str, int] = {}
        self.held: dict[tuple[str, str], int] = {}
        """What is in an account, by currency."""
        self.transfers: list[dict[str, Any]] = []
        self.payouts: list[dict[str, Any]] = []
        self.refuses: dict[str, No] = {}
        """What is asked, by method and path, that it says no to."""
        self.forgets = False
        self.held_up: dict[str, asyncio.Event] = {}
        """What is asked, by method and path, that it does only when that is set."""
        self.done: dict[str, Answer] = {}

    # What happens at Stripe.

    def settle(self, status: str = "paid", why: str = "") -> None:
        """What becomes of all payouts to banks that are under way, or were paid and are returned now."""
        for one in self.payouts:
            if one["status"] in ("pending", "paid") and one["status"] != status:
                one.update(status=status, failure_message=why or None)
                if status == "failed":
                    self._move(one["account"], one["currency"], one["amount"])

    def spend(self, account: str = ACCOUNT) -> None:
        """What is in an account is gone."""
        self.held = {place: 0 if place[0] == account else held for place, held in self.held.items()}

    @property
    def out(self) -> int:
        """What left the platform and is not back."""
        return sum(one["amount"] - one["amount_reversed"] for one in self.transfers)

    def event(self, type_: str, seen: dict[str, Any], account: str | None = ACCOUNT, **more: Any) -> bytes:
        usual = {"id": "evt_1", "object": "event", "type": type_, "created": int(self.now()), "livemode": False}
        told = {name: value for name, value in seen.items() if name != "account"}
        named = {"account": account} if account else {}
        return json.dumps({**usual, **named, "data": {"object": told}, **more}).encode()

    def signed(self, body: bytes, secret: str = SECRET, at: int = 0) -> dict[str, str]:
        header = WebhookSignature.generate_signature_header(body.decode(), secret, at or int(self.now()))
        return {"stripe-signature": header}

    # What it is asked.

    async def _answer(self, asked: Asked) -> Answer:
        key = asked.headers.get("idempotency-key", "") if asked.method == "POST" else ""
        place = f"{asked.headers.get('stripe-account', '')} {key}"
        if key and place in self.done:
            return self.done[place]
        if event := self.held_up.get(f"{asked.method} {asked.path}"):
            await event.wait()
        try:
            answer: Answer = (200, self._do(asked))
        except No as no:
            answer = (
                no.status,
                {"error": {"type": "invalid_request_error", "code": no.code or None, "message": "No."}},
            )
        if key and not self.forgets:
            self.done[place] = answer
        return answer

    def _do(self, asked: Asked) -> dict[str, Any]:
        parts, form = asked.path.split("/")[2:], dict(parse_qsl(asked.body.decode()))
        account = asked.headers.get("stripe-account", "")
        for path, no in self.refuses.items():
            if f"{asked.method} {asked.path}".startswith(path):
                raise no
        match (asked.method, *parts):
            case ("GET", "accounts", name):
                if name not in self.accounts:
                    raise No("account_invalid", 403)
                return self.accounts[name]
            case ("GET", "balance"):
                there = [{"currency": name.lower(), "amount": amount} for name, amount in self.balance.items()]
                return {"object": "balance", "available": there}
            case ("GET", "transfers"):
                return _listed(
                    [one for one in self.transfers if one["transfer_group"] == asked.query["transfer_group"]]
                )
            case ("POST", "transfers"):
                return self._transfer(form)
            case ("POST", "transfers", name, "reversals"):
                return self._reverse(name, int(form["amount"]))
            case ("GET", "payouts"):
                since = int(asked.query["created[gte]"])
                return _listed([one for one in self.payouts if one["account"] == account and one["created"] >= since])
            case ("POST", "payouts"):
                return self._pay_out(account, form)
        raise No("unknown", 404)

    def _transfer(self, form: dict[str, str]) -> dict[str, Any]:
        currency, amount = form["currency"], int(form["amount"])
        if self.balance.get(currency.upper(), 0) < amount:
            raise No("balance_insufficient")
        self.balance[currency.upper()] -= amount
        self._move(form["destination"], currency, amount)
        made = {
            "id": f"tr_{len(self.transfers) + 1}",
            "object": "transfer",
            "amount": amount,
            "amount_reversed": 0,
            "reversed": False,
            "currency": currency,
            "created": int(self.now()),
            "destination": form["destination"],
            "transfer_group": form["transfer_group"],
        }
        self.transfers.append(made)
        return made

    def _reverse(self, name: str, amount: int) -> dict[str, Any]:
        one = next(one for one in self.transfers if one["id"] == name)
        if one["amount_reversed"] + amount > one["amount"]:
            raise No("transfer_already_reversed")
        self._move(one["destination"], one["currency"], -amount)
        one["amount_reversed"] += amount
        one["reversed"] = one["amount_reversed"] == one["amount"]
        self.balance[one["currency"].upper()] += amount
        return {"id": f"trr_{name}", "object": "transfer_reversal", "amount": amount, "transfer": name}

    def _pay_out(self, account: str, form: dict[str, str]) -> dict[str, Any]:
        self._move(account, form["currency"], -int(form["amount"]))
        made = {
            "id": f"po_{len(self.payouts) + 1}",
            "object": "payout",
            "amount": int(form["amount"]),
            "currency": form["currency"],
            "created": int(self.now()),
            "arrival_date": int(self.now()),
            "status": "pending",
            "failure_code": None,
            "failure_message": None,
            "metadata": {key[9:-1]: value for key, value in form.items() if key.startswith("metadata[")},
            "account": account,
        }
        self.payouts.append(made)
        return made

    def _move(self, account: str, currency: str, amount: int) -> None:
        place = (account, currency.upper())
        if self.held.get(place, 0) + amount < 0:
            raise No("balance_insufficient")
        self.held[place] = self.held.get(place, 0) + amount


def _listed(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest first."""
    return {"object": "list", "has_more": False, "url": "/v1/x", "data": found[::-1]}
