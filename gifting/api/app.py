"""The Starlette application: authentication, bodies, errors, and the routes from the endpoint table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gifting.api.access import authorize
from gifting.api.body import read_body, read_number, read_path, read_word
from gifting.api.call import Call
from gifting.api.endpoints import ENDPOINTS, Endpoint
from gifting.api.exposition import metrics_route
from gifting.api.openapi import document
from gifting.api.pages import page_routes
from gifting.api.services import Services
from gifting.api.toll import identify, pay
from gifting.errors import BadMessage, GiftingError, MethodNotAllowed, NotFound
from gifting.wire.replies import problem

log = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""The status of an answer that nobody is there to read."""

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}
_BY_STATUS = {404: NotFound, 405: MethodNotAllowed}


def make_app(services: Services) -> Starlette:
    """The application; everything it needs is in ``services``."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    routes = [Route(path, partial(_serve, services, of), methods=list(of)) for path, of in by_path.items()]
    openapi = Response(msgspec.json.encode(document()), media_type="application/json")
    routes.append(Route("/openapi.json", lambda request: openapi))
    if not services.hub.settings.metrics_port:
        routes.append(metrics_route(services, here_only=True))
    return _with_errors([*routes, *page_routes(services.ledger.catalog)])


def make_metrics_app(services: Services) -> Starlette:
    """What the listener of ``/metrics`` serves."""
    return _with_errors([metrics_route(services, here_only=False)])


def _with_errors(routes: Sequence[BaseRoute]) -> Starlette:
    app = Starlette(routes=routes)
    app.add_exception_handler(GiftingError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


async def _serve(services: Services, by_method: Mapping[str, Endpoint], request: Request) -> Response:
    endpoint = by_method["GET" if request.method == "HEAD" else request.method]
    try:
        reply = await endpoint.handler(await _read(services, endpoint, request))
    except GiftingError as error:
        return _problem(error)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except Exception:
        log.exception("%s %s failed", endpoint.method, endpoint.path)
        return _problem(GiftingError())
    return Response(msgspec.json.encode(reply), endpoint.status, media_type="application/json")


async def _read(services: Services, endpoint: Endpoint, request: Request) -> Call:
    """The request, understood and allowed. Raises what it is refused for."""
    identity = identify(services.hub, endpoint, request)
    path = read_path(request.path_params)
    asked = request.query_params
    query = {name: read_number(name, asked.get(name), usual, most) for name, usual, most in endpoint.query}
    pay(services.hub, endpoint, identity, query)
    body = await read_body(request, endpoint.body, services.hub.settings.message_max)
    words = {name: read_word(name, asked.get(name), known) for name, known in endpoint.words}
    base_url = (services.hub.settings.public_url or str(request.base_url)).rstrip("/")
    call = Call(services, identity, path, query, words, body, base_url)
    if endpoint.access is not None:
        await authorize(endpoint.access, call)
    return call


def _problem(error: GiftingError, status: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """``status`` and ``headers`` if they are not the error's own."""
    told = problem(error, status)
    headers = _HEADERS.get(error.status) if headers is None else headers
    return Response(msgspec.json.encode(told), told.status, headers, "application/problem+json")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, GiftingError)
    return _problem(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = _BY_STATUS.get(error.status_code, BadMessage)()
    headers = dict(error.headers or {})
    if error.status_code == MethodNotAllowed.status:
        headers.setdefault("Allow", "GET, HEAD")  # static files leave it out
    return Response(
        msgspec.json.encode(problem(known, error.status_code)), error.status_code, headers, "application/problem+json"
    )


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _problem(GiftingError())
