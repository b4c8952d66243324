"""A headless Chromium for tests, driven over the DevTools protocol. It ends only what it started."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    # Whatever a page asks for, only this machine is reached.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
START_TIMEOUT = 30.0
CALL_TIMEOUT = 20.0


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


class PageError(Exception):
    """What was evaluated in a page threw."""


class Page:
    """One tab.

    ``errors`` collects what it logged as an error, exceptions and policy violations among it; ``console`` all that it
    logged; ``requests`` the address of every request, of navigations and WebSockets too, and its Referer.
    """

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session
        self.errors: list[str] = []
        self.console: list[str] = []
        self.requests: list[tuple[str, str]] = []

    async def call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, params, self._session)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if failure := answer.get("exceptionDetails"):
            raise PageError(failure.get("exception", {}).get("description") or failure["text"])
        return answer["result"].get("value")

    async def wait_for(self, condition: str, within: float = 10.0) -> None:
        """Wait until the JavaScript ``condition`` is true.

        Raises:
            AssertionError: it did not become true; with what the page showed instead.
        """
        try:
            async with asyncio.timeout(within):
                await self._poll(condition)
        except TimeoutError:
            shown = await self.evaluate("document.body?.innerText")
            raise AssertionError(f"never true: {condition}\npage: {shown!r}\nerrors: {self.errors}") from None

    async def _poll(self, condition: str) -> None:
        while not await self.evaluate(f"Boolean({condition})"):
            await asyncio.sleep(0.02)

    async def screenshot(self, path: str | Path | None = None, *, transparent: bool = False) -> bytes:
        """A PNG of the page; ``transparent`` leaves out the browser's own white, as a browser source does."""
        colour = {"color": {"r": 0, "g": 0, "b": 0, "a": 0}} if transparent else {}
        await self.call("Emulation.setDefaultBackgroundColorOverride", **colour)
        answer = await self.call("Page.captureScreenshot", format="png")
        data = base64.b64decode(answer["data"])
        if path is not None:
            await asyncio.to_thread(Path(path).write_bytes, data)
        return data

    async def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def close(self) -> None:
        await self._browser.call("Target.closeTarget", {"targetId": self._target})

    def on_event(self, method: str, params: dict[str, Any]) -> None:
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.console.append(json.dumps(params))
        elif method == "Network.requestWillBeSent":
            headers = {name.lower(): value for name, value in params["request"]["headers"].items()}
            self.requests.append((params["request"]["url"], headers.get("referer", "")))
        elif method == "Network.webSocketCreated":
            self.requests.append((params["url"], ""))
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")


class Browser:
    """``async with Browser() as browser: page = await browser.open(url)``"""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or find_browser()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._path is None:
            raise FileNotFoundError("there is no Chromium on this machine")
        self._directory = tempfile.mkdtemp(prefix="gifting-browser-")
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        assert self._path is not None
        self._process = await asyncio.create_subprocess_exec(
            self._path,
            *FLAGS,
            f"--user-data-dir={self._directory}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        address = await asyncio.wait_for(self._address(), START_TIMEOUT)
        assert self._process.stderr is not None
        self._drain = asyncio.create_task(_drain(self._process.stderr))
        self._socket = await connect(address, max_size=None, compression=None, proxy=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read(self._socket))

    async def _address(self) -> str:
        """Where Chromium listens, from the line in which it says so."""
        assert self._process is not None
        assert self._process.stderr is not None
        said: list[str] = []
        async for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            if text.startswith("DevTools listening on "):
                return text.removeprefix("DevTools listening on ")
            said.append(text)
        raise RuntimeError("Chromium did not start: " + " | ".join(said[-5:]))

    async def _stop(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, ConnectionClosed, TimeoutError):
                await self.call("Browser.close", {})
            await self._socket.close()
        elif self._process is not None and self._process.returncode is None:
            self._process.terminate()
        if self._process is not None:
            await _end(self._process)
        for task in (self._reader, self._drain):
            if task is not None:
                await asyncio.wait([task])
        shutil.rmtree(self._directory, ignore_errors=True)

    async def open(self, url: str, width: int = 1280, height: int = 720, *, insecure: bool = False) -> Page:
        """A new tab at ``url``; ``insecure``: whatever its certificate is."""
        target = (await self.call("Target.createTarget", {"url": "about:blank"}))["targetId"]
        attached = await self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, target, attached["sessionId"])
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        await page.call("Security.setIgnoreCertificateErrors", ignore=insecure)
        await page.resize(width, height)
        answer = await page.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise PageError(f"{url}: {answer['errorText']}")
        await page.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")
        return page

    async def call(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        """One DevTools command."""
        assert self._socket is not None
        number = next(self._ids)
        command: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._socket.send(json.dumps(command))
            return await asyncio.wait_for(future, CALL_TIMEOUT)
        finally:
            self._waiting.pop(number, None)

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if "id" not in message:
                if page := self._pages.get(message.get("sessionId", "")):
                    page.on_event(message["method"], message["params"])
                continue
            future = self._waiting.get(message["id"])
            if future is None or future.done():
                continue
            if "error" in message:
                future.set_exception(PageError(message["error"]["message"]))
            else:
                future.set_result(message["result"])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("Chromium is gone"))


async def _drain(stream: asyncio.StreamReader) -> None:
    """A full pipe would stop Chromium."""
    while await stream.read(65536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()
