"""For health checks: ``python -m gifting.probe`` asks the server of these settings (environment) whether it is ready.

Its exit status is 0 if so, else 1, with a line that says why. It asks on this machine, whatever proxies the environment
names, and does not check the certificate, which is for another name.
"""

from __future__ import annotations

import http.client
import ssl
import sys

from gifting import config
from gifting.config import Settings
from gifting.errors import BadSetting
from gifting.running import reached_by

WITHIN = 2.0
"""Seconds to wait for the answer."""


def probe(settings: Settings) -> str:
    """Why the server is not ready; '' if it is."""
    connection = _connect(reached_by(settings.host), settings)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"{answer.status}: {body}"


def _connect(host: str, settings: Settings) -> http.client.HTTPConnection:
    if not settings.tls_cert:
        return http.client.HTTPConnection(host, settings.port, timeout=WITHIN)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, settings.port, timeout=WITHIN, context=context)


def main() -> int:
    try:
        problem = probe(config.load())
    except BadSetting as error:
        problem = str(error)
    if problem:
        print(f"not ready: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
