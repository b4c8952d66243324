"""A headless Chromium of this machine, driven by Playwright, which downloads none here."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ONLY_THIS_MACHINE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
"""Whatever a page asks for, nobody else is reached."""
WITHIN = 30.0
"""Longest wait, seconds, also of what is expected of a page."""

POLL = 0.03


def find_browser() -> str | None:
    """The path of a Chromium, from CHROMIUM or PATH; None if there is none."""
    wanted = os.environ.get("CHROMIUM")
    return next((path for name in ([wanted] if wanted else NAMES) if (path := shutil.which(name))), None)


def require_browser() -> None:
    """Skip the module that calls this where there is no Chromium; in CI that fails."""
    if find_browser() is not None:
        return
    if os.environ.get("CI"):
        pytest.fail("CI must have a Chromium: these tests are not to be skipped there", pytrace=False)
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)


class Tab:
    """One tab: ``page`` is Playwright's.

    ``errors`` collects what it logged as an error, exceptions and policy violations among it; ``console`` all that it
    logged; ``requests`` the address of every request, of navigations and WebSockets too, and its Referer.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.console: list[str] = []
        self.requests: list[tuple[str, str]] = []
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._requested)
        page.on("websocket", lambda socket: self.requests.append((socket.url, "")))

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        return await self.page.evaluate(expression)

    async def wait_for(self, condition: str, within: float = WITHIN) -> None:
        """Wait until the JavaScript ``condition`` is true; asked from outside, since pages forbid ``eval``.

        Raises:
            AssertionError: it did not become true; with what the page showed instead.
        """
        try:
            async with asyncio.timeout(within):
                while not await self._is(condition):
                    await asyncio.sleep(POLL)
        except TimeoutError:
            shown = await self.evaluate("document.body?.innerText")
            raise AssertionError(f"never true: {condition}\npage: {shown!r}\nerrors: {self.errors}") from None

    async def _is(self, condition: str) -> bool:
        try:
            return bool(await self.evaluate(f"Boolean({condition})"))
        except Error as error:
            if "context was destroyed" in str(error):  # the page is on its way to another
                return False
            raise

    def _logged(self, message: ConsoleMessage) -> None:
        self.console.append(message.text)
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def _requested(self, request: Request) -> None:
        self.requests.append((request.url, request.headers.get("referer", "")))


class Browser:
    """Tabs that know nothing of each other."""

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []

    async def open(self, url: str, width: int = 1280, height: int = 720, **options: Any) -> Tab:
        """A new tab at ``url``; ``options`` are those of Playwright's ``new_context``."""
        context = await self._chromium.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        tab = Tab(await context.new_page())
        await tab.page.goto(url)
        return tab

    async def close_tabs(self) -> None:
        for context in self._contexts:
            await context.close()
        self._contexts.clear()


@asynccontextmanager
async def launch() -> AsyncIterator[Chromium]:
    """A Chromium, ended with the block."""
    sandbox = os.geteuid() != 0  # Chromium refuses to have one as root
    async with async_playwright() as playwright:
        options: dict[str, Any] = {"args": [ONLY_THIS_MACHINE, "--disable-quic"], "chromium_sandbox": sandbox}
        chromium = await playwright.chromium.launch(executable_path=find_browser(), **options)
        try:
            yield chromium
        finally:
            await chromium.close()
