"""Operators' acts: lost, told twice, or told without why."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/archive/acts.py",
        "archive/acts",
        ("            await trim_acts(self._redis, self._keys, last, in_ms(await self._redis.time()) - KEEP)\n", ""),
        ("acts.c.id < before", "acts.c.id <= before"),
    ),
    *of(
        "gifting/archive/fences.py",
        "archive/fences",
        ("        if not self._keys.apart:\n", "        if False:\n"),
        ("{int(at):016}-{int(number):08}", "{at}-{number}"),
        ("    except UNREADABLE:\n", "    except IntegrityError:\n"),
        ("max(note.at for note in notes) + SKEW", "max(note.at for note in notes) - 1000 * SKEW"),
        ("entries.c.ts <= until, ~paid", "entries.c.ts <= until"),
        ("entries.c.keeper == source, ", ""),
        (", entries.c.partition == destination", ""),
        ("            await self._store.insert(connection, fences, rows)\n", "            pass\n"),
        ("        await self._confirmation.hold()\n", ""),
    ),
    *of(
        "gifting/ledger/acts.py",
        "archive/acts",
        ("        except REDIS_ERRORS as error:\n", "        except ValueError as error:\n"),
        (' if int(upto.partition("-")[0]) < before else f"{before}-0"\n', "\n"),
        ("{int(at):016}-{int(number):08}", "{at}-{number}"),
    ),
)
