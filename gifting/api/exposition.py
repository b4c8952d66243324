"""``/metrics``: who may read them, and the answer."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gifting.api.authentication import bearer
from gifting.api.services import Services
from gifting.errors import BadToken, Forbidden
from gifting.transport.addresses import is_asked_from_here


def metrics_route(services: Services, *, here_only: bool) -> Route:
    """``here_only``: without ``metrics_token``, others than this machine are refused."""
    token = services.settings.metrics_token

    async def metrics(request: Request) -> Response:
        if token:
            if not hmac.compare_digest(bearer(request).encode(), token.encode()):
                raise BadToken("The metrics have a token of their own.")
        elif here_only and not is_asked_from_here(request.client, request.headers.get("host", "")):
            raise Forbidden("The operator opens the metrics by GIFTING_METRICS_TOKEN or --metrics-port.")
        return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)
