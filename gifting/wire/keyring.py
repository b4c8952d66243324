"""The keys that tokens are believed by: secrets of this server (HS256), and public keys of the host application.

A key is for one algorithm, which follows from what it is and never from what a token says of itself: so no public key
is ever taken for a secret, and ``none`` is no algorithm at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from gifting.config import SECRETS_MAX

SECRET_ALGORITHM: Final = "HS256"  # noqa: S105

KID_MAX: Final = 128
"""Characters of a key's name."""


class Key(NamedTuple):
    """``id`` is made from the key itself; ``kid`` is the name that tokens call it by, '' for none."""

    id: str
    kid: str
    algorithm: str
    material: Any
    public: bool = False


def kid_of(secret: str) -> str:
    """The name of a secret, which tells nothing of it."""
    return sha256(b"gifting key id\n" + secret.encode()).hexdigest()[:12]


class Keyring:
    """The keys at one moment; when they change, there is another keyring.

    Args:
        secrets: the first signs, all are believed.
        public: keys of the host application.
        ask: told of a name that no key has; says whether such a key may be there in a moment.
    """

    def __init__(
        self, secrets: Sequence[str], public: Iterable[Key] = (), ask: Callable[[str], bool] = lambda kid: False
    ) -> None:
        self.secret = secrets[0]
        self.ask = ask
        self._secrets = {kid: Key(kid, kid, SECRET_ALGORITHM, one) for one in secrets if (kid := kid_of(one))}
        self._public: dict[str, list[Key]] = {}
        for key in public:
            self._public.setdefault(key.algorithm, []).append(key)
        assert len(self._secrets) <= SECRETS_MAX
        self.secrets = tuple(key.material for key in self._secrets.values())
        self.ids = frozenset(self._secrets) | {key.id for keys in self._public.values() for key in keys}

    def find(self, algorithm: str, kid: str) -> Sequence[Key]:
        """The keys that may have signed a token with this head; most often one, or none.

        Backends name a secret as they like or not at all, so an unknown name of a secret means any of them. A public
        key is found by its name; without one, only where there is no choice.
        """
        if algorithm == SECRET_ALGORITHM:
            named = self._secrets.get(kid)
            return [named] if named is not None else list(self._secrets.values())
        keys = self._public.get(algorithm, [])
        if kid:
            return [key for key in keys if key.kid == kid]
        return keys if len(keys) == 1 else []
