"""Pictures of gifts that have none: the gift's emoji on a tile in the colours of its tier. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

from gifting.model.catalog import Gift
from gifting.model.events import Tier

_COLOURS: Final[dict[Tier, tuple[str, str]]] = {
    "small": ("#7dd3fc", "#4f46e5"),
    "medium": ("#5eead4", "#15803d"),
    "large": ("#e9a8ff", "#a21caf"),
    "epic": ("#fde68a", "#e11d48"),
}
_SPARKLES: Final[dict[Tier, int]] = {"small": 0, "medium": 3, "large": 5, "epic": 8}
_PLACES: Final = ((22, 30), (106, 96), (102, 24), (24, 100), (64, 14), (112, 62), (16, 66), (66, 115))
_SHEEN: Final = "M2 36A34 34 0 0 1 36 2H92A34 34 0 0 1 126 36V46Q64 74 2 46Z"
_FONTS: Final = "'Apple Color Emoji','Segoe UI Emoji','Noto Color Emoji',sans-serif"
_NOT_XML: Final = dict.fromkeys((*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF))

_TEMPLATE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128" role="img">
<title>{name}</title>
<defs><radialGradient id="tile" cx="0.32" cy="0.22" r="1">
<stop offset="0" stop-color="{light}"/><stop offset="1" stop-color="{dark}"/>
</radialGradient></defs>
<rect x="2" y="2" width="124" height="124" rx="34" fill="url(#tile)"/>
<path d="{sheen}" fill="#fff" opacity="0.16"/>
<path d="{sparkles}" fill="#fff" opacity="0.85"/>
<text x="64" y="67" font-size="66" font-family="{fonts}"
 text-anchor="middle" dominant-baseline="central">{art}</text>
</svg>
"""


def gift_svg(gift: Gift) -> str:
    """``gift`` as an SVG document. Its name and art are escaped: a catalog can't smuggle in markup."""
    light, dark = _COLOURS[gift.tier]
    return _TEMPLATE.format(
        name=_text(gift.name),
        art=_text(gift.art),
        light=light,
        dark=dark,
        sheen=_SHEEN,
        sparkles="".join(_sparkle(x, y) for x, y in _PLACES[: _SPARKLES[gift.tier]]),
        fonts=_FONTS,
    )


def _sparkle(x: int, y: int) -> str:
    """The outline of a four-pointed star around (x, y)."""
    return f"M{x} {y - 5}l1.2 3.8 3.8 1.2-3.8 1.2L{x} {y + 5}l-1.2-3.8-3.8-1.2 3.8-1.2Z"


def _text(text: str) -> str:
    return escape(text.translate(_NOT_XML))
