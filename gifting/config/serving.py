"""Where a server is reached, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Where it is reached, and by how many processes."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(8080, "Port to listen on; 0 picks a free one.", least=0, most=65535)
    workers: int = setting(1, "Server processes that share the port.", least=1, most=64)
    public_url: str = setting(
        "", "Address by which clients reach this server, for links and as an allowed origin. Empty: as a request says."
    )
    root_path: str = setting("", "Path that a proxy in front takes off, such as /gifts.")
    tls_cert: str = setting("", "PEM file with the certificate and its chain. Empty: no TLS here.")
    tls_key: str = setting("", "PEM file with its key. Empty: it is in the certificate's file.")
    origins: str = setting(
        "",
        "Page origins that may open a WebSocket and use the API (CORS), comma-separated, exact. The server's own may.",
    )
    forwarded_allow_ips: str = setting(
        "127.0.0.1,::1",
        "Trusted proxies, whose X-Forwarded headers are believed: addresses or networks, comma-separated; * is all.",
    )
    drain_timeout: float = setting(10.0, "Longest orderly shutdown.", least=0.1)


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Metrics and the log."""

    node: str = setting(
        "", "Name of this server in its metrics; with several workers, each adds its number. Empty: the machine's name."
    )
    metrics_host: str = setting("127.0.0.1", "Address of the listener for /metrics.")
    metrics_port: int = setting(
        0, "Port of a listener for /metrics only. 0: it is on the main one.", least=0, most=65535
    )
    metrics_token: str = setting(
        "", "Bearer token that /metrics asks for. Empty: on the main port only this machine is answered."
    )
    log_format: str = setting("text", "How lines of the log look, on stderr: `text`, or `json`, an object a line.")
    log_level: str = setting("info", "The log has lines of this level and above: debug, info, warning or error.")
