"""What a setting is made with."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from gifting.config.bounds import NUMBER_MAX


def setting(default: Any, help: str, *, least: float | None = None, most: float = NUMBER_MAX) -> Any:
    """A field of the settings. ``least`` and ``most`` are of numbers, which all have both."""
    return field(default=default, metadata={"help": help, "least": least, "most": None if least is None else most})
