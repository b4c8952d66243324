"""Reversed gifts: each once, of a gift that was given, for what it cost; and what was taken of its host was of such a
one, for what that had earned. With a gift's side that the ledger does not have nothing is compared.
"""

from __future__ import annotations

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.known_keys import DEBITED, REVERSED, KnownKeys, place_of
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Clawback, GiftReversal
from gifting.ledger.keys import Keys
from gifting.model.reversals import SETTLED, reversal_key


class ReversalBook:
    """Enter reversals and claw-backs; a reversal may wait for its claw-back, which is the second step of it."""

    def __init__(self, keys: Keys, known: KnownKeys, balances: Balances, findings: Findings) -> None:
        self._keys = keys
        self._known = known
        self._balances = balances
        self._findings = findings
        self._reversed: dict[bytes, tuple[str, GiftReversal]] = {}
        self.clawed: dict[bytes, Clawback] = {}
        self._later: set[tuple[bytes, str, str]] = set()

    def reversal(self, base: str, entry: GiftReversal) -> None:
        if not self._first(base, entry):
            return
        self._reversed[entry.key] = base, entry
        settled = self._balances.unspend(base, entry.user, entry.paid, entry.bonus)
        if settled != entry.settled or entry.key != reversal_key(entry.user, entry.gift):
            sentence = (
                f"Reversal of {entry.gift.hex()} of {entry.user}: {entry.settled} of {settled} coins settled debt."
            )
            self._findings.found("reversal_wrong", sentence, *self._tags(base, entry))

    def clawback(self, base: str, entry: Clawback) -> None:
        if not self._first(base, entry):
            return
        self._balances.claw_back(entry)
        if entry.gift != SETTLED:
            self.clawed[entry.key] = entry

    def later(self, entry: GiftReversal) -> None:
        """One from after the cut: a host's partition may have been cut when it was there."""
        self._later.add((entry.key, entry.user, entry.host))

    def _first(self, base: str, entry: GiftReversal | Clawback) -> bool:
        if self._known.first(self._known.name(base, entry.key), REVERSED << isinstance(entry, Clawback)):
            return True
        sentence = f"{entry.key.hex()}, a reversal of gift {entry.gift.hex()}, is entered again."
        self._findings.found("key_twice", sentence, about.stream(base), shakes=self._tags(base, entry))
        return False

    def _tags(self, base: str, entry: GiftReversal | Clawback) -> tuple[str, ...]:
        if isinstance(entry, Clawback):
            return about.stream(base), about.earnings(entry.host)
        return about.payer(base, entry.user)

    def gifts(self) -> set[tuple[str, bytes]]:
        """Those that they are about: the partition of who sent it, and its key."""
        found = {(base, entry.gift) for base, entry in self._reversed.values()}
        return found | {(self._keys.base(claw.user), claw.gift) for claw in self.clawed.values()}

    def close(self) -> None:
        """All is entered."""
        for base, entry in self._reversed.values():
            if self._known.first(self._known.name(base, entry.gift), DEBITED):
                sentence = f"Gift {entry.gift.hex()} of {entry.user} is reversed, and was never given."
                self._findings.found("reversal_without_gift", sentence, about.gift(base, entry.gift))
            else:
                self._compare_coins(base, entry)
                self._compare_places(base, entry)
        for claw in self.clawed.values():
            found = self._reversed.get(claw.key)
            if (claw.key, claw.user, claw.host) in self._later:
                continue
            if found is None or (found[1].user, found[1].host) != (claw.user, claw.host):
                sentence = f"Gift {claw.gift.hex()} of {claw.user} is taken back of {claw.host}, and was not reversed."
                self._findings.found("clawback_without_reversal", sentence, about.earnings(claw.host))
            else:
                self._compare_diamonds(found[0], claw)

    def _compare_coins(self, base: str, entry: GiftReversal) -> None:
        coins, _ = self._known.amounts(self._known.name(base, entry.gift))
        if coins and entry.paid + entry.bonus != coins:
            sentence = (
                f"Gift {entry.gift.hex()} cost {coins} coins; {entry.paid + entry.bonus} came back to {entry.user}."
            )
            self._findings.found("reversal_wrong", sentence, *self._tags(base, entry))

    def _compare_places(self, base: str, entry: GiftReversal) -> None:
        """So that what is taken back is taken of whom the gift was given to."""
        given = self._known.place(self._known.name(base, entry.gift))
        if given and given != place_of(entry.room, entry.host):
            sentence = f"Gift {entry.gift.hex()} of {entry.user} was not given to {entry.host} in {entry.room}."
            self._findings.found("reversal_elsewhere", sentence, *self._tags(base, entry))

    def _compare_diamonds(self, base: str, claw: Clawback) -> None:
        """A credit of less than a milli-diamond is as good as one that is not there."""
        _, diamonds = self._known.amounts(self._known.name(base, claw.gift))
        taken = claw.diamonds + claw.debt + claw.borne
        if diamonds and taken != diamonds:
            sentence = f"Gift {claw.gift.hex()} earned {claw.host} {diamonds}; {taken} were taken back, owed or borne."
            self._findings.found("clawback_wrong", sentence, about.earnings(claw.host))
