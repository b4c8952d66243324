"""The page at /."""

from __future__ import annotations

from gifting.web.front import ShortLink, front_page


def test_it_shows_what_there_is_and_no_more() -> None:
    page = front_page([])
    assert "<h1>A gifting server</h1>" in page
    assert 'href="openapi.json"' in page
    assert "d/" not in page.replace("</", "")


def test_links_stand_with_their_room_and_are_escaped() -> None:
    links = [ShortLink(name, room, label, "what & why", lambda: "") for name, room, label in (
        ("one", "<b>First</b>", "watch"), ("one-obs", "<b>First</b>", "overlay"), ("two", "Second", "watch"),
    )]  # fmt: skip
    page = front_page(links)
    assert page.count("&lt;b&gt;First&lt;/b&gt;") == 1
    assert "<b>" not in page
    assert '<li><a href="d/one-obs">overlay</a>: what &amp; why</li>' in page
