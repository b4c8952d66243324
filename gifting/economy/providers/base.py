"""What every provider of payments is to the rest of the server, and why what came in its name is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from gifting.errors import BadWebhook, ProviderFailed
from gifting.model.effects import Effect
from gifting.model.orders import Order
from gifting.model.settlements import SettledPage

WEBHOOK_AGE: Final = 300_000
"""ms by which a signed webhook's own time may differ from now, in both directions."""


class Reason(StrEnum):
    """Why a webhook is refused: the label by which they are counted."""

    UNSIGNED = "unsigned"
    """No signature, or none by a key that is believed."""
    STALE = "stale"
    """Signed too long ago, or for a time to come."""
    FOREIGN = "foreign"
    """Of another account, application or package."""
    MODE = "mode"
    """Of a test in live mode, or the reverse."""
    MALFORMED = "malformed"
    """Signed, and still not to be understood."""
    MISMATCH = "mismatch"
    """Of an order, a product or a number that is not what was paid for."""


def refused(reason: Reason, detail: str = "") -> BadWebhook:
    """The refusal of a webhook, as ``Provider.verify`` raises it."""
    return BadWebhook(detail, reason=reason)


class ProviderRefused(ProviderFailed):
    """The provider said no, and will say no again; any other ProviderFailed may be asked once more."""

    temporary = False


class Checkout(NamedTuple):
    """Where an order is paid.

    Args:
        url: the page to send the buyer to; '' where an app pays in its store.
        reference: the provider's own name of it, with the provider's name before it (``stripe:cs_…``).
        expires: ms since 1970, after which nobody can begin to pay it.
    """

    url: str
    reference: str
    expires: int


class RefundRequest(NamedTuple):
    """A store asks what became of a purchase, before it decides whether to refund it.

    Args:
        object: the provider's own name of the request, by which one is answered once.
        order: id of our order, or '' where only ``reference`` leads to it.
        reference: as :class:`Checkout` has them.
        at: ms since 1970 when it was asked.
        until: ms since 1970 when the store decides without an answer.
        token: what the provider needs to answer, opaque to others.
    """

    provider: str
    object: str
    order: str
    reference: str
    at: int
    until: int
    token: str = ""


class Facts(NamedTuple):
    """What is known of an order that a store asks about.

    Args:
        unspent: paid coins of the order that its user still has, by the rule of lots.
        purchased: paid coins that the user ever bought, this order's included.
    """

    order: Order
    unspent: int
    purchased: int


Told = Effect | RefundRequest
"""What a provider says: what happened to money, or a question."""


class Provider(Protocol):
    """One way to pay. Calls go over a network: each is bounded in time, and raises ProviderFailed."""

    @property
    def name(self) -> str:
        """As in settings, paths and references."""

    @property
    def live(self) -> bool:
        """Whether it is real money."""

    def least(self, currency: str) -> int:
        """The smallest price that it takes, in minor units of ``currency``; 0 where there is no such bound."""

    async def create(self, order: Order, return_url: str) -> Checkout:
        """Where this order is paid. Asked twice for one order, it gives the same checkout, or one that is as good:
        never two that could both be paid. Raises ProviderRefused.
        """

    async def claim(self, order: Order, receipt: str) -> Sequence[Told]:
        """What the buyer's device says it was given for the order, checked with the provider. Raises BadReceipt, also
        where nothing is claimed that way.
        """

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Told]:
        """What a webhook says. ``headers`` are by lower-case name. Raises BadWebhook, as :func:`refused` makes it."""

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        """All that happened since, whether or not it came by webhook; what is old may be told again."""

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        """Money that it moved in a span of time, in any order, a page at a time: the first has the name ''. Asked for
        again, a page has what it had. Raises ProviderRefused where it tells that in files only.
        """

    async def refund(self, order: Order, amount: int, withdrawal: str) -> None:
        """Give ``amount`` (minor units) of the order back, once per ``withdrawal``. Raises ProviderRefused where it
        never will; that it was given back is told as any other effect, which names the withdrawal if it can.
        """

    async def give_back(self, order: Order, payment: str) -> None:
        """Give all of a payment of the order back that came once more (:func:`gifting.model.consequences.overpaid`),
        once, however often it is asked. Raises ProviderRefused where it never will.
        """

    async def delivered(self, order: Order) -> None:
        """The coins of a paid order are issued: told after its payment was applied, also one that was known, and before
        whoever told of the payment is answered. Raises ProviderFailed where the store must be told once more.
        """

    async def answer_refund_request(self, request: RefundRequest, facts: Facts) -> None:
        """Answer, once or more often. Raises ProviderRefused where it is too late."""

    async def close(self) -> None:
        """Let go of connections; nothing is asked after that."""
