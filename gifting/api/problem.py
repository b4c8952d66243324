"""How an error is answered: as a problem document (RFC 9457), by every route there is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gifting.errors import BadMessage, GiftingError, MethodNotAllowed, NotFound
from gifting.wire.replies import problem

log = logging.getLogger(__name__)

_HEADERS: Final = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}
_BY_STATUS: Final = {404: NotFound, 405: MethodNotAllowed}


def with_problems(routes: Sequence[BaseRoute]) -> Starlette:
    """An application of these routes, in which nothing is answered without a code."""
    app = Starlette(routes=routes)
    app.add_exception_handler(GiftingError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


def answer_problem(error: GiftingError, status: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """An error as its answer; ``status`` and ``headers`` if they are not the error's own."""
    told = problem(error, status)
    headers = _HEADERS.get(error.status) if headers is None else headers
    return Response(msgspec.json.encode(told), told.status, headers, "application/problem+json")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, GiftingError)
    return answer_problem(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = _BY_STATUS.get(error.status_code, BadMessage)()
    headers = dict(error.headers or {})
    if error.status_code == MethodNotAllowed.status:
        headers.setdefault("Allow", "GET, HEAD")  # static files leave it out
    return answer_problem(known, error.status_code, headers)


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return answer_problem(GiftingError())
