"""One browser and one server for all tests of pages; each test has tabs, a room and users of its own.

Playwright stays in the loop that it was started in, so these tests and fixtures share the session's.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from tests.browser.scene import Scene
from tests.support.browser import WITHIN, Browser, launch
from tests.support.server import Server

expect.set_options(timeout=1000 * WITHIN)

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with launch() as chromium:
        yield chromium


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    browser = Browser(chromium)
    yield browser
    await browser.close_tabs()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("pages") / "data", member_rate=0, sandbox_delay=0.1) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def scene(shared_server: Server) -> Scene:
    """A room of this test's own."""
    scene = Scene(shared_server, f"r{next(_numbers)}")
    await scene.prepare()
    return scene
