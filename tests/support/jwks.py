"""Key pairs of a host application, tokens by them, and a JWKS at a URL that can be changed, broken and slow."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class Pair:
    """A private key, and the public one as a JWK named ``kid``."""

    def __init__(self, algorithm: str, private: Private, kid: str) -> None:
        self.algorithm = algorithm
        self.private = private
        self.kid = kid

    @classmethod
    def make(cls, algorithm: str, kid: str = "k1", bits: int = 2048) -> Pair:
        made: Private
        if algorithm == "ES256":
            made = ec.generate_private_key(ec.SECP256R1())
        elif algorithm == "EdDSA":
            made = ed25519.Ed25519PrivateKey.generate()
        else:
            made = rsa.generate_private_key(65537, bits)
        return cls(algorithm, made, kid)

    def jwk(self, **more: Any) -> dict[str, Any]:
        kind: Any = {"ES256": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm}[self.algorithm]
        made = kind.to_jwk(self.private.public_key(), as_dict=True)
        named = {"kid": self.kid} if self.kid else {}
        return {name: value for name, value in {**made, **named, **more}.items() if name != "key_ops"}

    def sign(self, claims: dict[str, Any], **head: Any) -> str:
        named = {"kid": self.kid} if self.kid else {}
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={**named, **head})


def document(*pairs: Pair) -> bytes:
    """A JWKS with the public keys."""
    return json.dumps({"keys": [pair.jwk() for pair in pairs]}).encode()


class JwksServer:
    """Answers every request with ``status``, ``head`` lines and ``body``, byte by byte where ``slow``; counts them."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.status = "200 OK"
        self.head = ""
        self.slow = False
        self.asked = 0
        self.url = ""
        self._answering: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> JwksServer:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        self.asked += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n{self.head}\r\n"
            writer.write(head.encode() + (b"" if self.slow else self.body))
            for at in range(len(self.body) * self.slow):
                writer.write(self.body[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0.02)
            await writer.drain()
        except OSError:
            pass  # it is tired of waiting
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._answering.discard(task)
