"""The pictures of gifts."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from gifting.model.catalog import Gift, load_catalog
from gifting.web.art import gift_svg


def test_every_gift_has_a_picture() -> None:
    for gift in load_catalog():
        assert ET.fromstring(gift_svg(gift)).tag.endswith("svg")


def test_a_picture_cannot_carry_markup() -> None:
    odd = Gift(id="x", name="</title><script>\x00", coins=1, tier="epic", art="<b>&'\"")
    root = ET.fromstring(gift_svg(odd))
    assert [node.text for node in root.iter() if node.tag.endswith("text")] == ["<b>&'\""]
    assert not [node for node in root.iter() if node.tag.endswith("script")]
