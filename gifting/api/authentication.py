"""What requests cost whoever makes them: the same allowance that messages are paid from, else the address'."""

from __future__ import annotations

from starlette.requests import Request

from gifting.api.call import NOBODY
from gifting.api.endpoint import Endpoint
from gifting.errors import BadToken, Denied, RateLimited
from gifting.transport.addresses import place_of
from gifting.transport.gateway import Gateway
from gifting.wire.tokens import Identity


def identify(gateway: Gateway, endpoint: Endpoint, request: Request) -> Identity:
    """Who asks; NOBODY where that does not matter. The address pays for what has no token, or no good one.

    Raises:
        Denied: a token is needed, and this is none.
        RateLimited: too much came from this address.
    """
    if not endpoint.cost:
        return NOBODY
    try:
        return gateway.authenticator.authenticate(bearer(request))
    except Denied:
        place = place_of(request.client.host if request.client else "")
        if not gateway.limits.visit_from(place, gateway.time()):
            raise RateLimited("Too much comes from this address.") from None
        if endpoint.access is not None:
            raise
        return NOBODY


def bearer(request: Request) -> str:
    """The token that a request carries. Raises BadToken if it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise BadToken("There is no token.")
    return token.strip()


def pay(gateway: Gateway, endpoint: Endpoint, identity: Identity, query: dict[str, int]) -> None:
    """Raises RateLimited. A backend acts for many, so the usual is free for operators, but what is heavy is not."""
    cost = endpoint.cost + (query["limit"] / endpoint.page if endpoint.page else 0)
    if identity is NOBODY or (cost <= 1 and identity.role == "operator" and not identity.room):
        return
    if not gateway.limits.visit(identity, gateway.time(), cost):
        raise RateLimited("This user asks too often.")
