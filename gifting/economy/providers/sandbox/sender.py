"""Who tells the server of the sandbox's events: signed webhooks over HTTP to the server's own address, as Stripe would.

Every process does it; who is about to send notes that first, so that the others wait. A webhook that is not taken is
sent again, ever more slowly, and given up after :data:`TRIES_MAX`: what it says is then found by the reconciliation.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gifting.economy.providers import signature
from gifting.economy.providers.sandbox.checkout import Checkout
from gifting.economy.providers.sandbox.history import TRIES_MAX, Happening, event_body, sending, taken, untold
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.errors import GiftingError

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at what is due; what this process did to a checkout is told at once."""

AT_ONCE: Final = 8
"""Webhooks on their way at once."""

SEND_WITHIN: Final = 5.0
"""Seconds until a webhook is answered."""

TAKEN: Final = range(200, 300)


class Address(NamedTuple):
    """Where this server is reached from itself; ``certificate``: the file with its own, if it speaks TLS."""

    url: str
    certificate: str = ""


class Sender:
    """``now`` is in ms since 1970."""

    def __init__(self, sandbox: Sandbox, address: Address, now: Callable[[], int]) -> None:
        self._sandbox = sandbox
        self._address = address
        self._now = now
        self._look = asyncio.Event()
        self.given_up = 0
        sandbox.changed = self._look.set

    async def run(self) -> None:
        """For ever: tell what is due."""
        while True:
            self._look.clear()
            try:
                sent = await self.round()
            except GiftingError as error:
                log.warning("can't look for webhooks to send: %s", error)
                sent = 0
            if not sent:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._look.wait()
        except TimeoutError:
            pass

    async def round(self) -> int:
        """Tell once what is due; how many checkouts it was about."""
        due = await self._sandbox.due(AT_ONCE)
        await asyncio.gather(*map(self._tell, due))
        return len(due)

    async def _tell(self, checkout: str) -> None:
        one, tries = await self._take(checkout)
        if one is None:
            return
        told = await self._send(event_body(one))
        if not told and tries >= TRIES_MAX:
            log.error("the webhook %s was not taken %d times: it is given up", one.id, tries)
            self.given_up += 1
        if told or tries >= TRIES_MAX:
            await self._sandbox.change(checkout, lambda known, now: taken(known, one.id))

    async def _take(self, checkout: str) -> tuple[Happening | None, int]:
        """What this process is to send, unless another was faster, and how often that was tried with this time."""
        found: list[Happening] = []

        def begin(known: Checkout, now: int) -> Checkout:
            one = untold(known)
            found[:] = [] if one is None or max(one.at, known.again) > now else [one]
            return sending(known, now) if found else known

        known = await self._sandbox.change(checkout, begin)
        return (found[0] if found else None), known.tries

    async def _send(self, body: bytes) -> bool:
        return await send(self._address, self._sandbox.secrets[0], body, self._now())


async def send(address: Address, secret: str, body: bytes, now: int) -> bool:
    """Send a webhook, signed at ``now`` (ms since 1970); whether it was taken."""
    header = signature.sign(body, secret, now // 1000)
    try:
        async with asyncio.timeout(SEND_WITHIN):
            return await _post(address, "/v1/webhooks/sandbox", header, body) in TAKEN
    except (OSError, TimeoutError, ValueError) as error:
        log.info("a webhook of the sandbox was not answered: %s", error or type(error).__name__)
        return False


async def _post(address: Address, path: str, signed: str, body: bytes) -> int:
    """The status of the answer. Raises OSError, and ValueError for what is no HTTP."""
    parts = urlsplit(address.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=_tls(address.certificate))
    try:
        head = (
            f"POST {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n{signature.HEADER}: {signed}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        line = await reader.readline()
        return int(line[9:12])
    finally:
        writer.close()


def _tls(certificate: str) -> ssl.SSLContext | None:
    """TLS that believes the server's own certificate and no other, by whatever name it is for."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
