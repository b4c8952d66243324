"""What is said to a cluster in one piece: a command, or a transaction. Which slot is it for, and what came of it?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from redis.commands import READ_COMMANDS
from redis.exceptions import ClusterCrossSlotError, NoScriptError, OutOfMemoryError, RedisError, ResponseError

from gifting.ledger import scripts
from gifting.ledger.cluster.slots import beside, slot_of, tags
from gifting.ledger.redis_errors import NotReplicated, Unanswered, is_turned_away
from gifting.ledger.resp import Words

HOME: Final = slot_of(f"{{{tags(1)[0]}}}")
"""The slot of the partition that has what there is but once; its master is asked what any could answer, as the time."""

_READS: Final = {*READ_COMMANDS, "ECHO", "INFO", "OBJECT", "PING", "PUBLISH", "SPUBLISH", "TIME", "XINFO STREAM"}
_ANYWHERE: Final = {"ECHO", "INFO", "PING", "PUBLISH", "TIME"}
_SCRIPTS: Final = {"EVAL", "EVALSHA"}


class Said(NamedTuple):
    """A command, as it goes to its slot."""

    words: Words
    slot: int
    key: str
    """Its first; '' without one."""
    writes: bool


def say(words: tuple[Any, ...]) -> Said:
    """Route a command; a script gets the names that never exist, and its text for a cluster.

    Raises:
        NoScriptError: the SHA is that of none of our scripts: send its text.
        ResponseError: it has no key, and is none that the master of :data:`HOME` could answer for all.
    """
    name = str(words[0]).upper()
    if name in _SCRIPTS:
        return _say_script(name, words)
    if name in _ANYWHERE:
        return Said((*name.split(), *words[1:]), HOME, "", writes=False)
    if len(words) < 2 or not isinstance(words[1], str | bytes):
        raise ResponseError(f"{name} has no key: say on which node of the cluster.")
    key = _text(words[words.index("STREAMS") + 1] if name == "XREAD" else words[1])
    return Said((*name.split(), *words[1:]), slot_of(key), key, name not in _READS)


def _say_script(name: str, words: tuple[Any, ...]) -> Said:
    what, count = _text(words[1]), int(words[2])
    keys, args = words[3 : 3 + count], words[3 + count :]
    if not keys:
        raise ResponseError("A script without keys has no place in a cluster.")
    if name == "EVAL":
        text, what = what, scripts.for_cluster(what)
    elif ours := scripts.by_sha().get(what):
        text, what = scripts.source(ours), scripts.sha(ours, cluster=True)
    else:
        raise NoScriptError("It is known by its text only.")
    key = _text(keys[0])
    absent = scripts.never(key)
    return Said(
        (name, what, count + len(absent), *keys, *absent, *args), slot_of(key), key, not scripts.only_reads(text)
    )


@dataclass(frozen=True)
class Request:
    """Commands for one slot: one, or, where they are a ``transaction``, all or none of them.

    Where ``confirmed``, and it writes, it writes something more, so that a WAIT behind it covers it whatever it does: a
    WAIT waits for what its own connection has written, and a script may find that it has nothing to do.
    """

    commands: tuple[Said, ...]
    transaction: bool
    confirmed: bool

    @cached_property
    def slot(self) -> int:
        """What any node could answer goes with the others. Raises ClusterCrossSlotError: there are several."""
        slots = {said.slot for said in self.commands if said.key} or {HOME}
        if len(slots) > 1:
            raise ClusterCrossSlotError("A transaction is in one slot.")
        return slots.pop()

    @cached_property
    def waits(self) -> bool:
        return self.confirmed and any(said.writes for said in self.commands)

    @cached_property
    def words(self) -> list[Words]:
        """All that goes out."""
        own = [said.words for said in self.commands]
        if self.waits:
            key = next(said.key for said in self.commands if said.writes)
            own.append(("SET", beside(key, "waited"), ""))
        return [("MULTI",), *own, ("EXEC",)] if self.transaction else own

    def turned_away(self, replies: list[Any]) -> RedisError | None:
        """Why none of it has run, if that is only because the node could not take it now."""
        first = self._outcomes(replies)[0]
        return first if isinstance(first, RedisError) and is_turned_away(first) else None

    def results(self, replies: list[Any], *, copied: bool) -> list[Any]:
        """What came of each command: its reply, or the error in its stead. ``copied``: whether the WAIT said enough.

        Without memory nothing more could be written, but what ran all the same has written something, or needed not.
        """
        found = self._outcomes(replies)
        last, found = found[-1], found[: len(self.commands)]
        marked = not isinstance(last, Exception) or isinstance(last, OutOfMemoryError)
        if not self.waits or (copied and marked):
            return found
        error = NotReplicated("No replica has said in time that it has it.")
        return [each if isinstance(each, Exception) else error for each in found]

    def _outcomes(self, replies: list[Any]) -> list[Any]:
        """A reply for each that went out, but MULTI and EXEC; errors for all where a transaction was not run."""
        if not self.transaction:
            return replies
        begun, *queued, done = replies
        if isinstance(done, list):
            return done
        ran_alone = isinstance(begun, Exception) and not all(isinstance(each, Exception) for each in queued)
        if ran_alone or isinstance(done, Unanswered):
            return [Unanswered("It is not known what of the transaction has run.")] * len(queued)
        return [next(each for each in replies if isinstance(each, Exception))] * len(queued)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
