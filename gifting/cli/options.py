"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

RedisOption = Annotated[str | None, typer.Option("--redis", help="URL of the Redis that has the data.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data-dir", help="The data directory, live or stopped. By default, of the server that runs here."),
]
PrefixOption = Annotated[str | None, typer.Option("--key-prefix", help="First part of the keys.")]
ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        help="Prove this archive too, from its first item: sqlite:///… or postgresql://… Not named, that of the data "
        "directory is read only for what is no longer in Redis.",
    ),
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Where the server answers; by default, the one that runs here.")
]
ServerOption = Annotated[
    str | None, typer.Option("--data-dir", help="The server is the one that runs on this data directory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyOption = Annotated[
    str, typer.Option("--key", help="Key (UUIDv7) of an earlier try whose outcome is not known; it is charged once.")
]
