"""Who gives, under which name, and whether it is confirmed: rules that do not hold any more."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/wire/confirm.py",
        "confirm",
        ("    return now < int.from_bytes(ends", "    return now <= int.from_bytes(ends"),
        ("what.user, what.key", '"", what.key'),
        ("what.key, what.digest", 'b"", what.digest'),
        ("what.digest, what.coins", "what.coins, 0"),
        ("what.coins, ends))", 'what.coins, b""))'),
    ),
    *of(
        "gifting/transport/giving.py",
        "transport/confirm_times",
        ("        until = min(self._ledger.now_ms() + GOOD_FOR_MS, key_time(what.key) + self._window)\n", "        until = self._ledger.now_ms() + GOOD_FOR_MS\n"),
        ("confirms(secrets, wish.confirm, what, self._ledger.now_ms())", "True"),
        ("self._keyring().secrets, self", "[self._keyring().secret], self"),
    ),
    *of(
        "gifting/ledger/gifts.py",
        "ledger/anonymous",
        (", *filter(None, (shown,)))", ")"),
        ("sender.shown or False", "False"),
        ("user=events.encode_user(profile(shown)), ", ""),
    ),
    *of(
        "gifting/model/pseudonym.py",
        "pseudonym",
        ('f"{room}\\n{user}"', 'f"{user}"'),
        ('f"{room}\\n{user}"', 'f"{room}{user}"'),
        (", key=salt", ""),
    ),
    *of(
        "gifting/transport/permits.py",
        "permits",
        ("        self._known.clear()\n", "        pass\n"),
        ("confirm_first=self._confirm_first", "confirm_first=True"),
        ("guarded = region.refusal(judged, self._accounts, guarded=True) is None", "guarded = False"),
        ("region.told_age, guarded=guarded)", "0, guarded=guarded)"),
    ),
    *of(
        "gifting/model/standing.py",
        "permits draft",
        ("age_check or self.age", "age_check"),
        ("age_check or self.age", "self.age"),
    ),
)  # fmt: skip
