"""The names of all Redis keys. Every key begins with its partition, whose braces are the Redis Cluster hash tag.

On a cluster a partition's tag has a suffix that puts it into a slot (:mod:`gifting.ledger.cluster.slots`), as in
``{pNN-0r26}``; the names are otherwise the same.

==============================  ======  =====================================================================
key                             type    holds
==============================  ======  =====================================================================
``{pNN}:coins``                 hash    user → coins, and what changes with them (:mod:`.account`)
``{pNN}:accounts``              hash    user → limits, and what was spent when
``{pNN}:orders:U``              hash    a user's orders; ``v``: how many changes, ``redo``: one that broke off
``{pNN}:reversals:U``           hash    gift of U that is reversed → what is known of that, for ever
``{pNN}:reversals``             zset    reversals to look at (``user\\n`` and the gift) → when (ms)
``{pNN}:clawbacks:H``           hash    key of a reversal → what it took of the host
``{pNN}:wards:U``               zset    who has U for guardian, or has asked → when that was last noted (ms)
``{pNN}:orders``                zset    orders to look at (``user\\norder``) → when (ms)
``{pNN}:payouts:H``             hash    a creator's payouts; ``v``: how many changes, ``redo``: what broke off of the
                                        creator's (``lua/include/host_redo.lua``), ``gone``: what was once kept
``{pNN}:payouts``               zset    payouts to look at (``host\\npayout``) → when (ms); in review: far ahead
``{pNN}:references``            hash    order, payout or reference of a provider → ``user\\norder``
``{pNN}:diamonds``              hash    host → milli-diamonds; ``host/D`` → those earned on day D since 1970,
                                        UTC; ``host/bps`` → its commission in basis points, if it has its own
``{pNN}:creators``              hash    host → what is known of it as a creator (:mod:`gifting.model.creator`)
``{pNN}:carry``                 hash    host/denominator → remainder of the diamond division
``{pNN}:totals``                hash    ``issued``, ``spent``, ``taken``, ``debt``: coins of all users; marks of what
                                        broke off
``{pNN}:ledger``                stream  every change, as :mod:`gifting.ledger.entries` reads it
``{pNN}:archived``              string  id of the ledger's last item that is in the archive, durably; it rises, but
                                        where an archiver begins and finds a database from before
``{pNN}:archived/items``        string  how many items are in the archive, from the first one on
``{pNN}:trimmed``               string  id before which the ledger may lack items, which are in the archive
``{pNN}:keys:B``                hash    key of a gift → digest and result; B is the key's minute
``{pNN}:keys``                  zset    these buckets' names, by when their minute is over (ms)
``{pNN}:grants:B``              hash    the same of grants; B is the key's day
``{pNN}:grants``                zset    the same of grants
``{pNN}:floors``                hash    ``keys``, ``grants``: a key made before (ms) is refused; ``days``: what was
                                        earned before that day is forgotten; none ever falls; ``earned``: since which
                                        day it is known
``{pNN}:peaks``                 zset    ids (ms) at which the ledger's were stuck when the clock had gone back
``{pNN}:directory``             hash    room → host (by the room's partition; all else of a room by its host's)
``{pNN}:live``                  zset    live rooms by start
``{pNN}:watched``               zset    live rooms by viewers
``{pNN}:hosting``               hash    host → live rooms
``{pNN}:streaks``               zset    open streaks (``room\\nuser\\ngift``) by deadline
``{pNN}:room:R``                hash    state, host, title, seq, totals, rules; ``archived``: seq up to which its log is
                                        in the archive, where one follows
``{pNN}:room:R/log``            stream  room batches; the id is ``last seq-count``
``{pNN}:room:R/removed``        zset    seqs of events of which is shown no longer what was said
``{pNN}:room:R/streaks``        hash    open streaks
``{pNN}:room:R/top``            zset    user → coins sent
``{pNN}:room:R/users``          hash    user → name and picture, as wire bytes; ``=`` and a pseudonym → whose it is
``{pNN}:room:R/presence``       hash    node → viewers and when
``{pNN}:room:R/pace``           zset    user → when it commented last (ms), as long as slow mode makes it wait
``{pNN}:held:H``                stream  comments that wait for the host: room, user, why, event (wire bytes)
``{pNN}:people:H``              hash    user → what the host has decided about it, as ``lua/include/decided.lua`` says;
                                        ``~`` and a user → the same of what it gives anonymously
``{pNN}:outbox``                stream  on a cluster: per call of ``debit`` that took gifts, what it owes to partitions
                                        of hosts: partition → blob (``lua/include/outbox.lua``); until they have it,
                                        and for a while after that (``cluster/keeping.py``)
``{pNN}:line``                  hash    on a cluster: ``born``, without which scripts refuse; ``epoch`` and ``lineage``
                                        (``lua/include/lineage.lua``); partition → msgpack seq, epochs of what it is
                                        owed; ``came``: the ledger's last item from before a move
``{pNN}:marks``                 hash    on a cluster: partition of senders → msgpack seq, epochs, parked of what was
                                        credited of it (``lua/include/marks.lua``)
``{pNN}:park/S``                hash    on a cluster: what came before its turn of partition S, and results of it
                                        (``lua/include/park.lua``)
``{pNN}:fenced``                stream  on a cluster: what was credited, and then lost by its source: ``source``,
                                        ``from`` and ``to``, the epoch that ``had`` and the one that ``lost`` it, ``at``
``{p00}:chain:C``               string  number of the last commit call of node C that another could follow
``{p00}:meta``                  hash    what can't change once data exists
``{pNN}:overlays:H``            zset    token id → when it expires (ms): all that the host's rooms issued
``{p00}:revoked:K``             zset    what is revoked → when that may be forgotten (ms); K: t(oken), o(verlay), u(ser)
``{p00}:banned``                zset    users who are banned → number in the order of that; ``~`` has the last
``{p00}:erasures``              zset    users whose personal data is to be erased → of all up to when (ms)
``{p00}:erasures/why``          hash    the same → who asked for it, and why
``{p00}:acts``                  stream  what operators did that no archive has yet: who, role, act, about, why
``{p00}:unbanned``              zset    users who are so no longer → number, of the same order
``{p00}:reports``               hash    id → what a user reported
``{p00}:reports/open``          zset    their ids, by when they came (ms)
``{p00}:reporters``             hash    user → how many of its reports are open
``{pNN}:cases:U``               hash    id → support case of U; ``open``: how many are open; on a cluster in ``p00``
``{pNN}:cases``                 hash    support case → whose it is (by the case's partition); on a cluster in ``p00``
``{p00}:cases/open``            zset    support cases that are open (``user\\n`` and the id) → since when (ms)
``{p00}:cases/decided``         zset    those that are decided, and to be done still → since when (ms)
``{p00}:sandbox``               hash    checkout of the sandbox → what it knows of it
``{p00}:sandbox/due``           zset    checkouts of which something is to be told → when (ms)
``{p00}:sandbox/changed``       zset    checkouts → when they last changed, or will (ms)
``{p00}:sandbox/sent``          zset    the newest payouts that the sandbox was asked to send → when (ms)
``{p00}:sandbox/payouts/due``   zset    payouts and creators of which something is to be told → when (ms)
``{p00}:deliveries``            hash    purchase in a store → when, and what its store must be told by
``{p00}:promotion:I``           hash    order → what it holds of a promotion's budget; ``used``: their sum
``{p00}:promotions``            zset    what orders hold (``promotion\\norder``) → when to look at it (ms)
``{pNN}:waited``                string  on a cluster only: written behind each write, for a replica to confirm
``{p00}:revisions``             zset    K and what is revoked → its number in the order of revoking; ``~`` has the last
==============================  ======  =====================================================================

``{pNN}:events`` is the channel on which the partition's room batches are published, ``{p00}:balances`` that of balances
which no gift has changed, ``{p00}:notices`` that of what protects a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

BUCKET_MS: Final = 60_000
DAY_MS: Final = 86_400_000
"""What the keys of one bucket of gifts and of grants span, by their own times."""


def partition_of(name: str, partitions: int) -> int:
    """The number of the partition of a user or room id."""
    return crc32(name.encode()) % partitions


class Keys:
    """Key names under ``prefix``, over a fixed number of partitions.

    Args:
        tags: the hash tags of the partitions, where they are not ``p00``, ``p01``, …: on a Redis Cluster they are those
            that :func:`gifting.ledger.cluster.slots.tags` spreads over the slots.
    """

    def __init__(self, prefix: str, partitions: int, tags: Sequence[str] | None = None) -> None:
        self.apart = tags is not None
        """Whether partitions may be on different nodes."""
        tags = tags or [f"p{number:02d}" for number in range(partitions)]
        self.bases = [f"{prefix}:{{{tag}}}" for tag in tags]

    def base(self, name: str) -> str:
        """The partition of a user or room id, by CRC-32."""
        return self.bases[partition_of(name, len(self.bases))]

    @property
    def meta(self) -> str:
        return f"{self.bases[0]}:meta"

    def sandbox(self) -> list[str]:
        """The checkouts, those to be told of, and all by their last change."""
        key = f"{self.bases[0]}:sandbox"
        return [key, f"{key}/due", f"{key}/changed"]

    @property
    def sandbox_payouts(self) -> str:
        """The payouts that the sandbox was asked to send."""
        return f"{self.bases[0]}:sandbox/sent"

    @property
    def sandbox_payouts_due(self) -> str:
        """What is to be told of them and of creators."""
        return f"{self.bases[0]}:sandbox/payouts/due"

    @property
    def deliveries(self) -> str:
        return f"{self.bases[0]}:deliveries"

    def revoked(self, kind: str) -> str:
        return f"{self.bases[0]}:revoked:{kind}"

    @property
    def chain(self) -> str:
        """What the key of a node's chain of commit calls begins with."""
        return f"{self.bases[0]}:chain"

    @property
    def banned(self) -> str:
        return f"{self.bases[0]}:banned"

    @property
    def unbanned(self) -> str:
        return f"{self.bases[0]}:unbanned"

    def reports(self) -> list[str]:
        """What users reported, as the scripts take it."""
        return [f"{self.bases[0]}:{part}" for part in ("reports", "reports/open", "reporters")]

    def erasures(self) -> list[str]:
        """Who is to be erased, and why, as the script takes it."""
        return [f"{self.bases[0]}:{part}" for part in ("erasures", "erasures/why")]

    @property
    def acts(self) -> str:
        return f"{self.bases[0]}:acts"

    def cases(self, user: str) -> str:
        return f"{self._base_of_cases(user)}:cases:{user}"

    def case_users(self, case: str) -> str:
        return f"{self._base_of_cases(case)}:cases"

    def _base_of_cases(self, name: str) -> str:
        """A script changes a case, whose it is, and the list of all: on a cluster they are in one partition."""
        return self.bases[0] if self.apart else self.base(name)

    @property
    def open_cases(self) -> str:
        return f"{self.bases[0]}:cases/open"

    @property
    def decided_cases(self) -> str:
        return f"{self.bases[0]}:cases/decided"

    @property
    def revisions(self) -> str:
        return f"{self.bases[0]}:revisions"

    def orders(self, user: str) -> list[str]:
        """A user's orders, and those of the partition that are to be looked at; then of reversed gifts likewise."""
        base = self.base(user)
        return [f"{base}:{part}" for part in (f"orders:{user}", "orders", f"reversals:{user}", "reversals")]

    def reversals(self, user: str) -> str:
        return f"{self.base(user)}:reversals:{user}"

    def clawbacks(self, host: str) -> str:
        return f"{self.base(host)}:clawbacks:{host}"

    def of_host(self, host: str) -> list[str]:
        """What changes of a host, as ``host_redo`` in Lua takes it."""
        base = self.base(host)
        own = [f"{base}:{part}" for part in ("ledger", "diamonds", "totals")]
        return [*own, *self.payouts_of(host), self.clawbacks(host), f"{base}:creators"]

    def payout_put(self, host: str) -> list[str]:
        """The same, and what tells by which day a payout may go."""
        return [*self.of_host(host), f"{self.base(host)}:floors"]

    def payouts_of(self, host: str) -> list[str]:
        """A host's payouts, and those of the partition that are to be looked at."""
        base = self.base(host)
        return [f"{base}:payouts:{host}", f"{base}:payouts"]

    def wards(self, guardian: str) -> str:
        return f"{self.base(guardian)}:wards:{guardian}"

    def promotion(self, promotion: str) -> str:
        return f"{self.bases[0]}:promotion:{promotion}"

    @property
    def held(self) -> str:
        """What orders hold of promotions, by when it is to be looked at."""
        return f"{self.bases[0]}:promotions"

    def references(self, reference: str) -> str:
        return f"{self.base(reference)}:references"

    def overlays(self, host: str) -> str:
        return f"{self.base(host)}:overlays:{host}"

    @property
    def balances(self) -> str:
        return f"{self.bases[0]}:balances"

    @property
    def notices(self) -> str:
        return f"{self.bases[0]}:notices"

    def channels(self) -> list[str]:
        return [f"{base}:events" for base in self.bases]

    def live(self, base: str) -> tuple[str, str, str]:
        """A partition's live rooms: by start, by viewers, and how many each host has."""
        return f"{base}:live", f"{base}:watched", f"{base}:hosting"

    def deadlines(self, base: str) -> str:
        return f"{base}:streaks"

    def directory(self, room: str) -> str:
        return f"{self.base(room)}:directory"

    def room(self, host: str, room: str) -> str:
        return f"{self.base(host)}:room:{room}"

    def log(self, host: str, room: str) -> str:
        return f"{self.room(host, room)}/log"


# Keys that always go together, in the order in which the scripts take them.


def account_keys(base: str, kind: str = "keys") -> list[str]:
    """A partition's keys of what users have, as ``accounts.open`` in Lua takes them; ``kind`` of its buckets."""
    return [f"{base}:{part}" for part in ("coins", "totals", "floors", kind, "ledger", "accounts")]


def credit_keys(base: str) -> list[str]:
    """A partition's keys of what hosts get, as ``credit.add_partition`` in Lua takes them."""
    return [f"{base}:{part}" for part in ("ledger", "diamonds", "carry", "streaks")]


def debit_keys(base: str) -> list[str]:
    """A partition's keys as ``debit`` takes them: what users have, what it owes, and its line."""
    return [*account_keys(base), f"{base}:outbox", f"{base}:line"]


def mark_keys(base: str) -> list[str]:
    """A partition's keys as ``credit`` takes them: what hosts get, its line, its marks, and what is fenced."""
    return [*credit_keys(base), f"{base}:line", f"{base}:marks", f"{base}:fenced"]


def park_key(base: str, source: int) -> str:
    return f"{base}:park/{source}"


def room_keys(base: str, room: str) -> list[str]:
    """A room's keys, as ``room.open`` in Lua takes them."""
    key = f"{base}:room:{room}"
    return [key, f"{key}/log", f"{key}/streaks", f"{key}/top", f"{key}/users"]


def held_key(base: str, host: str) -> str:
    return f"{base}:held:{host}"


def removed_key(base: str, room: str) -> str:
    return f"{base}:room:{room}/removed"


def people_key(base: str, host: str) -> str:
    return f"{base}:people:{host}"


def house_keys(base: str, room: str, host: str) -> list[str]:
    """A room's keys of what its host wants there, as ``house.open`` in Lua takes them."""
    return [people_key(base, host), f"{base}:room:{room}/pace"]


def presence_key(base: str, room: str) -> str:
    return f"{base}:room:{room}/presence"
