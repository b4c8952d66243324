"""The Starlette application: the routes of the endpoint table, of the documents made from it, and of the pages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gifting.api import asyncapi, openapi
from gifting.api.call import Call
from gifting.api.cors import Cors
from gifting.api.endpoint import Endpoint, File
from gifting.api.endpoints import ENDPOINTS
from gifting.api.exposition import metrics_route
from gifting.api.problem import answer_problem, with_problems
from gifting.api.request import read_call, read_reason
from gifting.api.services import Services
from gifting.api.sheet import answer_sheet
from gifting.errors import GiftingError
from gifting.logs import log_act
from gifting.model.catalog import Catalog
from gifting.web.pages import page_routes

log = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""The status of an answer that nobody is there to read."""


def make_app(services: Services) -> Starlette:
    """The application; everything it needs is in ``services``."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    routes = [Route(path, partial(_serve, services, of), methods=list(of)) for path, of in by_path.items()]
    routes += [
        Route("/openapi.json", lambda request: _openapi(services.rulebook.rules.catalog)),
        Route("/asyncapi.json", lambda request: _asyncapi()),
    ]
    if not services.settings.metrics_port:
        routes.append(metrics_route(services, here_only=True))
    app = with_problems([*routes, *page_routes(services.rulebook, services.links)])
    if origins := services.settings.allowed_origins():
        app.add_middleware(Cors, origins=origins)
    return app


def make_metrics_app(services: Services) -> Starlette:
    """What the listener of ``/metrics`` serves."""
    return with_problems([metrics_route(services, here_only=False)])


@lru_cache(1)
def _openapi(catalog: Catalog) -> Response:
    return _document(openapi.document(gift.id for gift in catalog))


@lru_cache(1)
def _asyncapi() -> Response:
    return _document(asyncapi.document())


def _document(document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


async def _serve(services: Services, by_method: Mapping[str, Endpoint], request: Request) -> Response:
    endpoint = by_method["GET" if request.method == "HEAD" else request.method]
    try:
        call = await read_call(services, endpoint, request)
        why = read_reason(call) if endpoint.act else ""
        reply = await endpoint.handler(call)
    except GiftingError as error:
        services.gateway.refusals.count(error)
        return answer_problem(error)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    except Exception:
        log.exception("%s %s failed", endpoint.method, endpoint.path)
        return answer_problem(GiftingError())
    if endpoint.act:
        await _note(services, call, endpoint.act, _about(call, reply), why)
    if isinstance(reply, File):
        named = {"Content-Disposition": f'attachment; filename="{reply.name}"'}
        return Response(reply.data, endpoint.status, named, reply.kind)
    if call.words.get("format") == "csv":
        return answer_sheet(reply, endpoint.status, request.query_params)
    return Response(msgspec.json.encode(reply), endpoint.status, media_type="application/json")


async def _note(services: Services, call: Call, act: str, about: dict[str, object], why: str) -> None:
    """In the log; what operators do also where it is kept."""
    who, role = call.identity.user, call.identity.role
    log_act(who, role, act, about | ({"reason": why} if why else {}))
    if role == "operator":
        await services.ledger.acts.note(who, role, act, about, why)


def _about(call: Call, reply: Struct) -> dict[str, object]:
    """What an act was about: the path, what the body gives, and the id of a token that was made."""
    given = msgspec.structs.asdict(call.body) if call.body is not None else {}
    made = {"token_id": token_id} if (token_id := getattr(reply, "token_id", "")) else {}
    return call.path | {name: value for name, value in given.items() if value is not None and value != ""} | made
