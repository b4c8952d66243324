"""The checks of a Redis Cluster: what is wrong, what is only weak, when it is refused and when it is told."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/cluster/faults.py",
        "cluster_faults",
        ("each.version < LEAST_VERSION", "each.version < (6, 0)"),
        ("if len(survey.topology.replicas_of(master)) > 1]", "if len(survey.topology.replicas_of(master)) > 2]"),
        ('each.state != "ok"', 'each.state == ""'),
        ("each.slots < SLOTS and", "each.slots < SLOTS - 1 and"),
        (
            "    if durability in REPLICATED:\n        yield from _one_replica",
            '    if durability == "replica":\n        yield from _one_replica',
        ),
        ('if untold and durability != "managed":', "if untold and False:"),
        ('"maxmemory-policy": each.eviction}', "}"),
        ("if setting in told and told[setting] != value:", "if setting in told and told[setting] == 'no':"),
        ('.get(_COVERAGE, "no") != "no"', '.get(_COVERAGE, "no") == "?"'),
        ("return all(settings.get(guard", "return any(settings.get(guard"),
        ("        if not survey.silent:\n", "        if True:\n"),
        ("if lag is None]:", "if False]:"),
        ("lag > LONGEST]:", "lag >= LONGEST]:"),
        ("apart = ahead.clock[0] - behind.clock[1]", "apart = ahead.clock[1] - behind.clock[0]"),
        ("key=lambda each: each.clock[1])", "key=lambda each: -each.clock[1])"),
        ("if apart > SKEW_MAX:", "if apart > 2 * SKEW_MAX:"),
        ("> 2 * min(found.values())", "> 3 * min(found.values())"),
        ("cache.engine_version < LOGGED_SINCE", "cache.version < LOGGED_SINCE"),
        ('found.keys() == {""} and found[""].settings is not None', "False"),
        ("    elif service := next(filter(None, found)", "    elif service := next(filter(None, ())"),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks",
        ("if not self._taken(error)]", "if True]"),
        ("{node for each in self._seen.ranges for node in each.replicas}", "set[Node]()"),
        ('if risks else health.mend("redis")', "if risks else None"),
        ("if weak else health.recover(PART)", "if weak else None"),
        ("weak += [*find_losses(survey), *", "weak += [*"),
        (", *self._rounds.told()]", "]"),
        ("        self.keeping.learn(survey)\n", ""),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_what_is_tried_is_written_to_each_master_and_gone_soon",
        ('[("SET", key, b"", "EX", PROBE_KEPT), ', '[("PING",), '),
        ('"EX", PROBE_KEPT)', '"EX", 600)'),
        ("for key in reversed(self._probes)}", "for key in self._probes[:1]}"),
        (
            "isinstance(written, Exception) else self._awaited.lacks(master, said)",
            'isinstance(written, Exception) else ""',
        ),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_a_replica_that_died_does_not_keep_a_server_from_starting",
        ("        if not refused and not survey.silent:\n", "        if not refused:\n"),
        ("        for said in (*find_losses(survey), *weak):\n", "        for said in weak:\n"),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_a_sound_cluster_is_taken_and_one_replica_is_warned_of",
        ("        for said in (*find_losses(survey), *weak):\n", "        for said in find_losses(survey):\n"),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_a_replica_that_hears_nothing_of_its_master",
        (
            "return str(written) if isinstance(written, Exception) else",
            "return '' if isinstance(written, Exception) else",
        ),
        ("        if not self._awaited.any:\n            return []\n", ""),
        ("return [ClusterUnconfirmed(said.format(name(failed)))] if failed else []", "return []"),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_what_goes_wrong_later_is_told_until_it_is_mended",
        (
            "if error.risk and not self._settings.allow_unsafe_redis]",
            "if error.risk and self._settings.allow_unsafe_redis]",
        ),
        ("for error in faults if not error.risk]", "for error in faults]"),
    ),
    *of(
        "gifting/ledger/cluster/checks.py",
        "ledger/cluster/checks::test_a_setting_that_can_lose_gifts_is_refused_on_any_node",
        ("        if error.risk and self._settings.allow_unsafe_redis:\n", "        if error.risk:\n"),
        ("        if error.risk and self._settings.allow_unsafe_redis:\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/cluster/survey.py",
        "ledger/cluster/checks",
        ("    if isinstance(said, ResponseError):\n        return None\n", ""),
        ("return Survey(topology, facts, dead | silent)", "return Survey(topology, facts, dead)"),
        ('if "fail" in flags.split(",") else ""', 'if "gone" in flags.split(",") else ""'),
    ),
    *of(
        "gifting/ledger/cluster/keeping.py",
        "keeping cluster_faults",
        ("timeout * factor + 1000", "timeout + 1000"),
        ("(ping + silence) if factor else None", "(ping + silence)"),
        ("self._told | {str", "{str"),
        (" if node in nodes}", "}"),
        ("([USUAL] if untold else [])", "[]"),
        ("max([*self", "min([*self"),
        ("return LONGEST if lag is None else min(lag, LONGEST)", "return LONGEST if lag is None else lag"),
    ),
    *of(
        "gifting/ledger/cluster/layout.py",
        "ledger/cluster/checks",
        ("    if kept != own:\n", "    if False:\n"),
        ('" ".join(keys.bases)', '" ".join(keys.bases[:1])'),
    ),
)
