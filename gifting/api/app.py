"""The Starlette application: authentication, bodies, errors, and the routes from the endpoint table."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gifting.api.endpoints import ENDPOINTS, Call, Endpoint, read_number
from gifting.api.openapi import document
from gifting.api.pages import page_routes
from gifting.api.services import Services
from gifting.errors import BadMessage, BadToken, GiftingError, MessageTooLarge, NotFound
from gifting.hub.handshake import problem
from gifting.wire.codec import UNDECODABLE
from gifting.wire.tokens import Identity

log = logging.getLogger(__name__)

NOBODY = Identity(user="", role="viewer", token_id="", expires=0)


def make_app(services: Services) -> Starlette:
    """The application; everything it needs is in ``services``."""
    routes = [
        Route(endpoint.path, partial(_serve, services, endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS
    ]
    openapi = Response(msgspec.json.encode(document()), media_type="application/json")
    routes.append(Route("/openapi.json", lambda request: openapi))
    routes.append(Route("/metrics", partial(_metrics, services)))
    app = Starlette(routes=[*routes, *page_routes(services.ledger.catalog)])
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


async def _serve(services: Services, endpoint: Endpoint, request: Request) -> Response:
    try:
        identity = services.hub.authenticate(_token(request)) if endpoint.token else NOBODY
        query = {
            name: read_number(name, request.query_params.get(name, str(default)), most)
            for name, default, most in endpoint.query
        }
        body = await _body(request, endpoint, services.hub.settings.message_max)
        base_url = str(request.base_url).rstrip("/")
        reply = await endpoint.handler(Call(services, identity, dict(request.path_params), query, body, base_url))
    except GiftingError as error:
        return _problem(error)
    return Response(msgspec.json.encode(reply), endpoint.status, media_type="application/json")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise BadToken("There is no token.")
    return token.strip()


async def _body(request: Request, endpoint: Endpoint, most: int) -> Any:
    """The body as the endpoint's type. Raises MessageTooLarge, BadMessage."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise MessageTooLarge(f"The body may have {most} bytes.")
    if endpoint.body is None:
        return None
    try:
        return msgspec.json.decode(data or b"{}", type=endpoint.body)
    except UNDECODABLE as error:
        raise BadMessage(f"{error}.") from None


def _problem(error: GiftingError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return Response(msgspec.json.encode(problem(error)), error.status, headers, "application/problem+json")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = NotFound() if error.status_code == 404 else BadMessage(f"{error.detail}.")
    reply = problem(known) | {"status": error.status_code}
    return Response(msgspec.json.encode(reply), error.status_code, error.headers, "application/problem+json")


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _problem(GiftingError())


async def _metrics(services: Services, request: Request) -> Response:
    return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_LATEST)
