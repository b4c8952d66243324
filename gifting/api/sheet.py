"""Lists as CSV (RFC 4180), for spreadsheets and scripts: a line of names, then one each; times are ISO 8601 in UTC."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, get_args, get_type_hints
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import asdict
from starlette.responses import Response

PRINTED: Final = ("format", ("json", "csv", "pdf"))
"""The query's word of an endpoint that has them all."""

FORMAT: Final = ("format", ("json", "csv"))
"""The query's word of an endpoint that has both. Its reply is one of lists, of which one has something, and `next`."""

MEDIA: Final = {"csv": "text/csv", "pdf": "application/pdf"}
"""What these formats are called where they are answered."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes a text for a formula by, when it begins so."""


def answer_sheet(reply: Struct, status: int, asked: Mapping[str, str]) -> Response:
    """A reply as CSV; the page after is in ``Link``, as what was ``asked`` with the next cursor."""
    headers = {"Content-Disposition": 'attachment; filename="gifting.csv"'}
    if following := getattr(reply, "next", ""):
        headers["Link"] = f'<?{urlencode({**asked, "cursor": following})}>; rel="next"'
    lists = {name: value for name, value in asdict(reply).items() if isinstance(value, list)}
    name = max(lists, key=lambda one: len(lists[one]))
    (kind,) = get_args(get_type_hints(type(reply))[name])
    return Response(sheet(kind, lists[name]), status, headers, "text/csv; charset=utf-8")


def sheet(kind: type[Struct], rows: Iterable[Struct]) -> str:
    """Rows of that kind."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(kind.__struct_fields__)
    writer.writerows([_cell(name, value) for name, value in asdict(row).items()] for row in rows)
    return out.getvalue()


def _cell(name: str, value: object) -> object:
    if name in ("ts", "at", "since") and isinstance(value, int):
        if not value:
            return ""
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
