"""A room's log: in order, whole, and one gift event per credit."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import RoomState
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.room_book import UNKNOWN, RoomBook, gift_digest
from gifting.ledger.audit.streaks import Streaks
from gifting.ledger.entry_parser import UNREADABLE
from gifting.model.packing import unpack
from gifting.model.pseudonym import Unmasked
from gifting.wire.batch import FIELDS, IndexEntry, RoomBatch, Totals, read_batches


class LogAudit:
    """Feed it the items of a log in order, after :meth:`begin`. ``late``: gifts may come after its end."""

    def __init__(
        self, room: str, state: RoomState, book: RoomBook, senders: Unmasked, findings: Findings, *, late: bool = False
    ) -> None:
        self._room = room
        self._state = state
        self._book = book
        self._senders = senders
        self._findings = findings
        self._late = late
        self.next = 0
        """The seq that must come next; 0 before the first."""
        self.begin(1)

    def begin(self, first: int) -> None:
        """The log starts at ``first``: what came before is not known."""
        self._streaks = Streaks(self._room, first, self._findings)
        self._credit = bisect_left(self._book.seqs, first)
        self._totals = Totals(0, 0, 0) if first == 1 else None
        self._ended = False

    def item(self, first: int, last: int, fields: dict[bytes, bytes]) -> None:
        """The item whose id says that it holds the events ``first`` to ``last``."""
        if self.next and first != self.next:
            self._found("room_seq_gap", first, f"it follows {self.next - 1}")
            self._lose(first)
        self.next = last + 1
        try:
            batch, *more = read_batches(fields[b"b"])
            broken = _broken(batch, self._room, first, last, more)
        except UNREADABLE as error:
            broken = repr(error)
        if broken:
            self._found("log_entry_broken", first, broken)
            self._lose(last + 1)
            return
        spent = [self._event(entry, batch) for entry in batch.entries()]
        self._check_totals(batch, sum(coins for coins, _ in spent), sum(diamonds for _, diamonds in spent))

    def _lose(self, seq: int) -> None:
        """What was before ``seq`` could not be read; that has been said, and is not said again."""
        self._credit = max(self._credit, bisect_left(self._book.seqs, seq))
        self._totals = None

    def _event(self, entry: IndexEntry, batch: RoomBatch) -> tuple[int, int]:
        """Returns the coins and diamonds of the event."""
        try:
            event = unpack(batch.events[entry.start : entry.end])
            if (event["seq"], event["id"]) != (entry.seq, f"{self._room}.{entry.seq}"):
                self._found("event_misnumbered", entry.seq, f"it says seq {event['seq']}, id {event['id']}")
            self._findings.events += 1
            late = self._late and event["type"] == "gift"
            if self._ended and not late:
                self._found("event_after_end", entry.seq, event["type"])
            self._ended = event["type"] == "stream_end" or (late and self._ended)
            if event["type"] == "gift":
                self._streaks.follow(entry, event)
                self._pair(entry.seq, event)
                return int(event["coins"]), int(event["diamonds"])
            if entry.streak or entry.weight != event.get("comment_seq", 0) or entry.closes:
                self._found("batch_index_wrong", entry.seq, "it is no gift, and removes another event or none")
        except UNREADABLE as error:
            self._found("log_entry_broken", entry.seq, repr(error))
            self._lose(entry.seq + 1)
        return 0, 0

    def _pair(self, seq: int, event: dict[str, Any]) -> None:
        if not event["count"]:
            if event["coins"] or event["diamonds"]:
                self._found("event_without_credit", seq, "the end of a streak with an amount")
            return
        user = self._senders.real(event["user"]["id"])
        gift, price = event["gift"]["id"], event["gift"]["coins"]
        count, coins = event["count"], event["coins"]
        if price * count != coins:
            self._found("price_wrong", seq, f"{coins} coins for {count} {gift} of {price}")
        self._pass_credits(seq)
        book, place = self._book, self._credit
        if place == len(book.seqs) or book.seqs[place] != seq:
            self._found("event_without_credit", seq, f"{coins} coins of {user}", about.rank(self._room, user))
            return
        self._credit += 1
        said = gift_digest(user, gift, count, coins, event["diamonds"])
        if book.digests[place] not in (UNKNOWN, said):
            self._found("event_differs", seq, "its sender, gift, count or amount is not what was debited and credited")

    def _pass_credits(self, seq: int) -> None:
        seqs = self._book.seqs
        while self._credit < len(seqs) and seqs[self._credit] < seq:
            self._found("credit_without_event", seqs[self._credit], "no gift event there")
            self._credit += 1

    def _check_totals(self, batch: RoomBatch, coins: int, diamonds: int) -> None:
        before, now = self._totals, batch.totals
        self._totals = now
        if before is None:
            return
        more = now.coins - before.coins, now.diamonds - before.diamonds
        if more != (coins, diamonds) or now.likes < before.likes:
            told = f"{now} after {before}, {coins} coins and {diamonds} diamonds"
            self._found("batch_totals_wrong", batch.last, told)

    def close(self) -> None:
        """All of the log up to the room's seq is read."""
        state = self._state
        self._pass_credits(self.next)
        if self.next != state.seq + 1:
            self._found("room_seq_differs", state.seq, f"the log is at {self.next - 1}")
            return
        self._streaks.close(state)
        if self._ended == state.live:
            self._found("stream_end_wrong", state.seq, f"live is {state.live}, its end was logged: {self._ended}")
        if self._totals is not None and self._totals.likes != state.likes:
            sentence = f"{self._room} has {state.likes} likes, its log says {self._totals.likes}."
            self._findings.found("room_totals_differ", sentence, about.room(self._room))

    def _found(self, name: str, seq: int, what: str, *tags: str) -> None:
        told = f"{self._room}, seq {seq}: {what}."
        self._findings.found(name, told, about.event(self._room, seq), about.log(self._room), *tags)


def _broken(batch: RoomBatch, room: str, first: int, last: int, more: list[RoomBatch]) -> str:
    """Why a batch is not what its item's id and its own index say, or ''."""
    if more or (batch.room, batch.first, batch.last) != (room, first, last):
        return f"the item of {first} to {last} holds {batch.room}, {batch.first} to {batch.last}"
    if len(batch.index) != FIELDS * batch.count or sum(batch.index[::FIELDS]) != len(batch.events):
        return "the index does not fit the events"
    return ""
