"""Files that are read again: all of them or none, one reading after the other."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from gifting import config, errors
from gifting.rulebook import Rulebook, Rules, read_rules

GIFT = '[[gift]]\nid = "rose"\nname = "Rose"\ncoins = {}\ntier = "small"\n'
REGION = '[[region]]\nid = "other"\nterms = "Version {}."\n'
PRICES = """\
[[package]]
id = "small"
coins = 100
[[market]]
regions = ["other"]
currency = "USD"
tier = "web"
prices = {{ small = {} }}
"""
TEXTS = {"catalog": GIFT, "prices": PRICES, "regions": REGION}


class Shelf:
    """The three files, and a rulebook of them."""

    def __init__(self, folder: Path) -> None:
        self.paths = {name: folder / f"{name}.toml" for name in TEXTS}
        self.write(1)
        self.told = 0
        own = {name: str(path) for name, path in self.paths.items()}
        self.rulebook = Rulebook(config.load(own, environ={}), self._tell)

    def _tell(self) -> None:
        self.told += 1

    def write(self, version: int) -> None:
        for name, text in TEXTS.items():
            self.paths[name].write_text(text.format(version))


def versions(rules: Rules) -> set[int]:
    terms = rules.regions.of("").terms
    return {rules.catalog["rose"].coins, rules.prices.market("other").prices[0], int(terms.split()[1][:-1])}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def test_all_files_come_into_force_together_and_who_follows_is_told(shelf: Shelf) -> None:
    seen: list[Rules] = []
    shelf.rulebook.follow(seen.append)
    shelf.write(2)
    assert versions(shelf.rulebook.rules) == {1}
    rules = await shelf.rulebook.reload()
    assert seen == [rules]
    assert rules is shelf.rulebook.rules
    assert versions(rules) == {2}
    assert shelf.told == 0
    await shelf.rulebook.reload_everywhere()
    assert shelf.told == 1


@pytest.mark.parametrize("name", TEXTS)
async def test_one_bad_file_leaves_all_as_they_were(shelf: Shelf, name: str) -> None:
    shelf.rulebook.follow(lambda rules: pytest.fail("told of rules that are not in force"))
    shelf.write(2)
    shelf.paths[name].write_text("x = [\n")
    with pytest.raises(errors.StartError) as refused:
        await shelf.rulebook.reload_everywhere()
    assert refused.value.code == f"bad_{name}"
    assert refused.value.status == 422
    assert versions(shelf.rulebook.rules) == {1}
    assert shelf.told == 0


async def test_prices_of_a_region_that_is_gone_are_refused(shelf: Shelf) -> None:
    shelf.paths["prices"].write_text(PRICES.format(2).replace("other", "US"))
    with pytest.raises(errors.BadPrices, match="line 5: there is no region 'US'"):
        await shelf.rulebook.reload()
    shelf.paths["regions"].write_text(REGION.format(2) + REGION.format(2).replace("other", "US"))
    await shelf.rulebook.reload()


async def test_who_follows_may_refuse_and_then_nobody_is_told(shelf: Shelf) -> None:
    def refuse(rules: Rules) -> None:
        raise errors.BadSetting("not these")

    shelf.rulebook.follow(lambda rules: pytest.fail("told of rules that are not in force"))
    shelf.rulebook.follow(lambda rules: None, refuse)
    shelf.write(2)
    with pytest.raises(errors.BadSetting):
        await shelf.rulebook.reload()
    assert versions(shelf.rulebook.rules) == {1}


async def test_one_reading_waits_for_the_other_so_that_none_is_overtaken(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, met = threading.Barrier(2), []

    def read(settings: config.Settings) -> Rules:
        with suppress(threading.BrokenBarrierError):  # which is what is hoped for
            met.append(two.wait(0.2))
        return read_rules(settings)

    monkeypatch.setattr("gifting.rulebook.read_rules", read)
    shelf.write(2)
    await asyncio.gather(*(shelf.rulebook.reload() for _ in range(5)))
    assert not met
    assert versions(shelf.rulebook.rules) == {2}


async def test_asked_by_a_signal_the_log_has_the_answer(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each time that it was asked."""
    seen: list[Rules] = []
    shelf.rulebook.follow(seen.append)
    asked = asyncio.Event()
    watching = asyncio.create_task(shelf.rulebook.watch(asked))
    shelf.paths["prices"].write_text("x = 1")
    asked.set()
    async with asyncio.timeout(10):
        while "stay what they were: bad_prices" not in caplog.text:
            await asyncio.sleep(0.001)
        shelf.write(2)
        asked.set()
        while versions(shelf.rulebook.rules) != {2}:
            await asyncio.sleep(0.001)
    await shelf.rulebook.reload()  # it waits until nobody else reads
    assert len(seen) == 2
    assert not asked.is_set()
    watching.cancel()
