"""The catalog of the package, and what is wrong in another and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifting import errors
from gifting.model.catalog import MAX_GIFTS, load_catalog, parse_catalog
from gifting.model.packing import unpack

ROSE = '[[gift]]\nid = "rose"\nname = "Rose"\ncoins = 1\ntier = "small"\n'


def test_the_catalog_of_the_package() -> None:
    catalog = load_catalog()
    for gift in catalog:
        assert catalog[gift.id] is gift
        assert unpack(b"\x81" + catalog.wire(gift.id)) == {"gift": gift.public()}
    assert any(gift.streakable for gift in catalog)
    assert any(not gift.streakable for gift in catalog)
    with pytest.raises(errors.UnknownGift, match="'nothing'"):
        catalog["nothing"]


def test_streakable_follows_from_the_price_unless_said() -> None:
    table = '[[gift]]\nid = "{0}"\nname = "N"\ncoins = {1}\ntier = "small"\n{2}\n'
    said = [("a", 99, ""), ("b", 100, ""), ("c", 100, "streakable = true"), ("d", 1, "streakable = false")]
    catalog = parse_catalog("".join(table.format(*row) for row in said), "test")
    assert [gift.streakable for gift in catalog] == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1: there is no"),
        ("gift = 3", "line 1: there is no"),
        ("[[gift]\n", "line 1"),
        (ROSE + ROSE, "line 7: the id 'rose' is there twice"),
        (ROSE + ROSE.replace("rose", "Rose!"), "line 7: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 0"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 1000001"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 1.5"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", 'coins = "1"'), "line 9: "),
        (ROSE.replace("small", "tiny"), "line 5: "),
        (ROSE.replace('"Rose"', '""'), "line 3: "),
        (ROSE + 'colour = "red"\n', "line 6: "),
        (ROSE + ROSE.replace('name = "Rose"\n', ""), "line 6: .*name"),
        ("# one gift\n\n" + ROSE.replace("tier", "# tier"), "line 3: .*tier"),
        (ROSE * (MAX_GIFTS + 1), f"more than {MAX_GIFTS}"),
    ],
)
def test_what_is_wrong_in_a_catalog_and_where(text: str, where: str) -> None:
    with pytest.raises(errors.BadCatalog, match=f"^bad_catalog: gifts.toml.*{where}"):
        parse_catalog(text, "gifts.toml")


def test_a_catalog_that_can_not_be_read(tmp_path: Path) -> None:
    for content in (None, b"\xff"):
        path = tmp_path / f"{content is None}.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(errors.BadCatalog, match=path.name):
            load_catalog(str(path))
    good = tmp_path / "good.toml"
    good.write_text(ROSE)
    assert [gift.id for gift in load_catalog(str(good))] == ["rose"]
