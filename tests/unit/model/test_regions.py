"""What holds where: the file of the package, what is wrong in another and where, and who may."""

from __future__ import annotations

import pytest

from gifting import errors
from gifting.model.regions import NO_CAPS, load_regions, parse_regions
from gifting.model.standing import Standing

PERSONAL = frozenset({"personal"})
OTHER = '[[region]]\nid = "other"\nterms = "None."\n'
KOREA = '[[region]]\nid = "KR"\nmin_age = 19\nterms = "Seven days."\n'


def test_the_regions_of_the_package() -> None:
    regions = load_regions()
    assert {regions.of(code).id for code in ("DE", "FR", "SE", "EU")} == {"EU"}
    assert len(regions.of("EU").members) == 27
    assert [regions.of(code).id for code in ("US", "CH", "", "ZZ")] == ["US", "other", "other", "other"]
    assert [(regions.of(code).min_age, regions.of(code).withdrawal_days) for code in ("KR", "EU", "US")] == [
        (19, 7), (18, 14), (18, 0)
    ]  # fmt: skip
    assert regions.of("US").caps_at(20).day_cap
    assert not regions.of("US").caps_at(21).day_cap


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1: there is no"),
        (KOREA, "line 1: no region is 'other'"),
        (OTHER + 'colour = "red"\n', "line 4: "),
        ("[rules]\n" + OTHER, "line 1: 'rules' means nothing"),
        (OTHER + KOREA.replace("19", "190"), "line 6: "),
        (OTHER + KOREA.replace("KR", "K R"), "line 5: "),
        (OTHER + KOREA.replace("KR", "asia"), "line 5: it is no country"),
        (OTHER + KOREA.replace('terms = "Seven days."', ""), "line 4: .*terms"),
        (OTHER + KOREA + KOREA, "line 9: the id 'KR' is there twice"),
        (OTHER + KOREA + KOREA.replace('"KR"', '"asia"\ncountries = ["JP", "KR"]'), "line 10: KR is in region"),
        (OTHER + KOREA + "guardian_age = 20\n", "line 8: it is above min_age"),
        (OTHER + KOREA + "velocity_burst = 20\n", "line 8: it goes with velocity_rate"),
        (OTHER + KOREA + "[[region.caps]]\n[[region.caps]]\nday_cap = 5\nfrom_age = 0\n", "line 11: the youngest"),
        (OTHER + KOREA + "[[region.caps]]\n[[region.caps]]\nday_cap = -5\n", "line 10: "),
        (OTHER + KOREA + "[[region.caps]]\n[[region.caps]]\nweek_cap = 5\n", "line 10: "),
        (OTHER + KOREA + "caps = [{ from_age = 1, day_cap = 1.5 }]\n", "line 8: "),
    ],
)  # fmt: skip
def test_what_is_wrong_in_regions_and_where(text: str, where: str) -> None:
    with pytest.raises(errors.BadRegions, match=f"^bad_regions: regions.toml.*{where}"):
        parse_regions(text, "regions.toml")


def test_caps_are_by_age() -> None:
    bands = "[[region.caps]]\nfrom_age = 16\nday_cap = 5\n[[region.caps]]\nfrom_age = 20\nday_cap = 9\n"
    korea = parse_regions(OTHER + KOREA + bands, "").of("KR")
    assert [korea.caps_at(age).day_cap for age in (16, 19, 20, 150)] == [5, 5, 9, 9]
    assert korea.caps_at(15) is NO_CAPS


@pytest.mark.parametrize(
    ("said", "standing", "guarded", "refused"),
    [
        ("", Standing(age=19), False, None),
        ("", Standing(age=18), False, errors.AgeRequired),
        ("", Standing(age=0), False, errors.AgeRequired),
        ("min_age = 0", Standing(age=0), False, errors.AgeRequired),
        ("guardian_age = 14", Standing(age=14), False, errors.AgeRequired),
        ("guardian_age = 14", Standing(age=14), True, None),
        ("guardian_age = 14", Standing(age=13), True, errors.AgeRequired),
        ("", Standing(age=18), True, errors.AgeRequired),
        ("", Standing(age=30, account="shop"), False, errors.AccountNotAllowed),
        ('accounts = ["shop"]', Standing(age=30, account="shop"), False, None),
        ('accounts = ["shop"]', Standing(age=30), False, errors.AccountNotAllowed),
        ("allowed = false", Standing(), False, errors.RegionNotAllowed),
    ],
)
def test_who_may_gift_and_buy(
    said: str, standing: Standing, guarded: bool, refused: type[errors.GiftingError] | None
) -> None:
    text = KOREA.replace("min_age = 19\n", "") if "min_age" in said else KOREA
    korea = parse_regions(OTHER + text + said + "\n", "").of("KR")
    found = korea.refusal(standing, PERSONAL, guarded=guarded)
    assert (type(found) if found else None) is refused
    if isinstance(found, errors.AgeRequired):
        assert f"Here that is {korea.min_age or 1} years." in found.message
