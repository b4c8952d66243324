"""A gift as somebody wants to give it, by whatever way it comes: under which name, and whether it is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import astuple

from gifting.errors import ConfirmRequired
from gifting.ledger.gifts import asked_for, outcome_of
from gifting.ledger.ledger import Ledger
from gifting.model.currencies import Money
from gifting.model.money import key_time, parse_key
from gifting.model.standing import Standing
from gifting.model.values import Done, Result, RoomRef, Sender
from gifting.transport.moderating import Moderating
from gifting.wire.confirm import GOOD_FOR_MS, Confirmed, confirms, make_confirmation
from gifting.wire.keyring import Keyring


class Wish(Protocol):
    """What is asked for; the key says which attempt it is, ``confirm`` that the sender was asked."""

    @property
    def gift(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def message(self) -> str | None: ...
    @property
    def anonymous(self) -> bool: ...
    @property
    def confirm(self) -> str | None: ...


class Giving:
    """``keyring`` gives the keys as they are now; by their secrets a gift is confirmed. ``price`` says what so many
    coins cost where somebody is.
    """

    def __init__(
        self,
        ledger: Ledger,
        moderating: Moderating,
        keyring: Callable[[], Keyring],
        price: Callable[[Standing, int], Money | None],
    ) -> None:
        self._ledger = ledger
        self._moderating = moderating
        self._keyring = keyring
        self._price = price
        self._window = round(ledger.settings.dedupe_window * 1000)

    def submit(self, sender: Sender, room: RoomRef, wish: Wish, done: Done) -> None:
        """As :meth:`Gifts.submit`. That a gift has to be confirmed, ``done`` hears as the ledger says it; what the
        sender is told of it, says :meth:`ask`.
        """
        confirmed = False
        if wish.anonymous or wish.confirm is not None:
            sender, confirmed = self._meant(sender, room, wish)
        self._submit(sender, room, wish, done, confirmed)

    def _submit(self, sender: Sender, room: RoomRef, wish: Wish, done: Done, confirmed: bool) -> None:
        """Words that have to wait are not shown with the gift."""
        message, silent = wish.message, False
        if message and (why := self._moderating.why(room, sender.id, message)):
            silent, done = True, self._moderating.with_gift(sender, room, message, why, done)
        self._ledger.gifts.submit(sender, room, wish.gift, wish.key, wish.count, message, done, confirmed, silent)

    async def send(self, sender: Sender, standing: Standing, room: RoomRef, wish: Wish) -> Result:
        """For those who can wait. Raises what it was refused for, as its sender is told."""
        giver, confirmed = self._meant(sender, room, wish)
        try:
            return await outcome_of(lambda done: self._submit(giver, room, wish, done, confirmed))
        except ConfirmRequired as refused:
            raise self.ask(standing, refused) from None

    def ask(self, standing: Standing, refused: ConfirmRequired) -> ConfirmRequired:
        """The ledger's refusal, made one by which the same gift goes through, for some minutes and at most as long as
        its key does.
        """
        what = asked_for(refused.gift)
        until = min(self._ledger.now_ms() + GOOD_FOR_MS, key_time(what.key) + self._window)
        confirm = make_confirmation(self._keyring().secret, what, until)
        price = self._price(standing, what.coins)
        told = f"It costs {what.coins} coins{f', {price} at most' if price else ''}."
        return ConfirmRequired(told, until=until, confirm=confirm, price=astuple(price) if price else None)

    def _meant(self, sender: Sender, room: RoomRef, wish: Wish) -> tuple[Sender, bool]:
        """Who gives, and whether that is confirmed. A confirmation that is none is as good as nothing."""
        giver = self._giver(sender, room, wish)
        if wish.confirm is None:
            return giver, False
        secrets, what = self._keyring().secrets, self._confirmed(giver, room, wish)
        return giver, confirms(secrets, wish.confirm, what, self._ledger.now_ms())

    def _giver(self, sender: Sender, room: RoomRef, wish: Wish) -> Sender:
        return self._ledger.gifts.masked(sender, room) if wish.anonymous else sender

    def _confirmed(self, sender: Sender, room: RoomRef, wish: Wish) -> Confirmed:
        content = self._ledger.gifts.content(sender, room, wish.gift, wish.count, wish.message)
        return Confirmed(sender.id, parse_key(wish.key), content.digest, content.coins)
