"""JSON Schema of the project's structs, as OpenAPI, AsyncAPI and TypeScript want it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gifting.errors import BadFile, GiftingError, NotCharged, StartError, all_errors

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"


def components(types: Iterable[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """What each type is, and the schemas by name that it refers to. A type's ``SCHEMA`` adds to what its fields say."""
    distinct = list(dict.fromkeys(types))
    schemas, named = msgspec.json.schema_components(distinct, ref_template=REF + "{name}")
    for kind in distinct:
        if hasattr(kind, "SCHEMA"):
            named[kind.__name__] |= kind.SCHEMA
    return dict(zip(distinct, schemas, strict=True)), {name: _as_browsers_read(named[name]) for name in sorted(named)}


_NO_ANSWERS: Final = (StartError, NotCharged)


def error_codes() -> list[str]:
    """The codes that a server may answer with."""
    answers = (error for error in all_errors() if issubclass(error, BadFile) or not issubclass(error, _NO_ANSWERS))
    return sorted({GiftingError.code, *(error.code for error in answers)})


def ecma(pattern: str) -> str:
    """A pattern of Python in the dialect of JSON Schema, which is JavaScript's. Text has no lone surrogates there."""
    return pattern.replace(r"\A", "^").replace(r"\Z", "$").replace(r"\ud800-\udfff", "")


def _as_browsers_read(value: Any) -> Any:
    """A schema with patterns in JavaScript's dialect and with descriptions that have no indentation."""
    if isinstance(value, list):
        return [_as_browsers_read(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _as_browsers_read(item) for name, item in value.items()}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = ecma(made["pattern"])
    if isinstance(made.get("description"), str):
        made["description"] = prose(made["description"])
    return made


def prose(text: str) -> str:
    """A docstring as one line, code between single backticks."""
    return " ".join(inspect.cleandoc(text).replace("``", "`").split())
