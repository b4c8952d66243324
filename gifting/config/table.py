"""The settings as rows, and from where their values come: flags, the environment, defaults."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gifting.config.settings import Settings
from gifting.errors import BadSetting

ENV_PREFIX: Final = "GIFTING_"

SECRETS: Final = frozenset(
    {"secret", "metrics_token", "stripe_key", "stripe_webhook_secrets", "stripe_connect_secrets"}
)
"""Settings that no flag sets: a command line can be read by every user of the machine."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. ``least`` and ``most`` are allowed themselves; None is no bound."""

    section: str
    name: str
    type: type
    default: Any
    help: str
    least: float | None
    most: float | None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def unflag(self) -> str:
        """The flag that turns it off; '' for what is neither on nor off."""
        return "--no-" + self.name.replace("_", "-") if self.type is bool else ""

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()


_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_BOOLS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def table() -> Iterator[Setting]:
    """Every setting, section by section."""
    for section in Settings.__bases__:
        title = inspect.cleandoc(section.__doc__ or "").rstrip(".")
        for item in fields(section):
            about, kind = item.metadata, _TYPES[str(item.type)]
            yield Setting(title, item.name, kind, item.default, about["help"], about["least"], about["most"])


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (``None`` means not given), then the environment, then defaults.

    Raises:
        BadSetting: a value of the wrong type or out of its bounds, or an unknown ``GIFTING_`` name.
    """
    environ = os.environ if environ is None else environ
    rows = {row.name: row for row in table()}
    known = {row.env for row in rows.values()}
    if strays := sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in known):
        raise BadSetting(f"The environment has {', '.join(strays)}, which is no setting.")
    values: dict[str, Any] = {}
    for row in rows.values():
        if row.env in environ:
            values[row.name] = _parse(row, environ[row.env])
    for name, value in (flags or {}).items():
        if value is not None:
            values[name] = value
    return Settings(**values)


def _parse(row: Setting, text: str) -> Any:
    try:
        return _BOOLS[text.lower()] if row.type is bool else row.type(text)
    except (ValueError, KeyError):
        raise BadSetting(f"{row.env} is {text!r}; it must be a {row.type.__name__}.") from None
