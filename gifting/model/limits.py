"""What a user, or the user's guardian, may set to be spent at most, and when it takes effect.

What is lowered acts at once. What is raised, or taken away, is only noted: a day later it may be asked for again, and
acts then. A guardian, who is not the one that spends, raises at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from gifting.errors import Conflict, Forbidden
from gifting.model.calendar import DAY_MS
from gifting.model.protection import CAPS, UNLIMITED, WINDOWS, Limits, Protection, Raise

RAISE_AFTER: Final = DAY_MS
"""Ms until a raised limit may be asked for again."""

RAISE_OPEN: Final = 7 * DAY_MS
"""Ms for which it may be; after that it is forgotten."""

GIFTS: Final = tuple(f"gifts.{window}" for window in WINDOWS)
PURCHASES: Final = tuple(f"purchases.{window}" for window in WINDOWS)
NAMES: Final = (*GIFTS, *PURCHASES, *(f"caps.{cap}" for cap in CAPS))
"""All that has a value, in coins: caps 1 or more, others 0 or more."""

Values = Mapping[str, int]
"""By :data:`NAMES`; :data:`~gifting.model.protection.UNLIMITED` takes one away."""


def values(record: Protection, *, guard: bool = False) -> dict[str, int]:
    """All that is set: by the user, or by the guardian."""
    gifts, purchases, caps = _parts(record, guard)
    found = {f"gifts.{window}": coins for window, coins in gifts.items()}
    found |= {f"purchases.{window}": coins for window, coins in purchases.items()}
    return found | {f"caps.{cap}": coins for cap, coins in zip(CAPS, caps, strict=True) if coins}


def _parts(record: Protection, guard: bool) -> tuple[Limits, Limits, tuple[int, int, int]]:
    if guard:
        return record.guard, record.guard_purchases, record.guard_caps
    return record.limits, record.purchases, record.caps


def _with(record: Protection, set_: Values, *, guard: bool) -> Protection:
    known = {name: coins for name, coins in set_.items() if coins < UNLIMITED}
    gifts = {window: known[f"gifts.{window}"] for window in WINDOWS if f"gifts.{window}" in known}
    purchases = {window: known[f"purchases.{window}"] for window in WINDOWS if f"purchases.{window}" in known}
    gift, streak, confirm_above = (known.get(f"caps.{cap}", 0) for cap in CAPS)
    caps = (gift, streak, confirm_above)
    if guard:
        return replace(record, guard=gifts, guard_purchases=purchases, guard_caps=caps)
    return replace(record, limits=gifts, purchases=purchases, caps=caps)


def ask(record: Protection, wanted: Values, now: int) -> Protection:
    """The record after the user asked for other values."""
    have, raises = values(record), {one.what: one for one in record.raises if now < one.at + RAISE_OPEN}
    for what, coins in wanted.items():
        noted = raises.pop(what, None)
        if coins <= have.get(what, UNLIMITED) or _confirms(noted, coins, now):
            have[what] = coins
        else:
            raises[what] = Raise(_due(noted, coins, now), what, coins)
    record = replace(_with(record, have, guard=False), raises=tuple(raises.values()))
    asked = record.asked or now
    return replace(record, asked=asked) if any(what in PURCHASES for what in wanted) else record


def _confirms(noted: Raise | None, coins: int, now: int) -> bool:
    return noted is not None and noted.at <= now and coins <= noted.value


def _due(noted: Raise | None, coins: int, now: int) -> int:
    """Less than what was noted need not wait anew."""
    return noted.at if noted is not None and coins <= noted.value else now + RAISE_AFTER


def ask_as_guardian(record: Protection, wanted: Values) -> Protection:
    """The record after the guardian asked for other values."""
    return _with(record, {**values(record, guard=True), **wanted}, guard=True)


def pause(record: Protection, until: int) -> Protection:
    """No spending before ``until`` (ms). What is set already can only get longer."""
    return replace(record, until=max(record.until, until))


def invite(record: Protection, guardian: str) -> Protection:
    """Somebody is asked to be guardian; '' asks nobody any more. Raises Conflict: there is one."""
    if record.guardian:
        raise Conflict("There is a guardian already, who must be unlinked first.")
    return replace(record, invited=guardian)


def accept(record: Protection, guardian: str) -> Protection:
    """Raises Forbidden for who was not asked."""
    if record.guardian == guardian:
        return record
    if record.invited != guardian:
        raise Forbidden("This user has not asked for this guardian.")
    return replace(record, guardian=guardian, invited="")


def unlink(record: Protection) -> Protection:
    """Without a guardian, and without what one has set."""
    return replace(record, guardian="", invited="", guard={}, guard_purchases={}, guard_caps=(0, 0, 0))
