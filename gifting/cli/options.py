"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

RedisOption = Annotated[str | None, typer.Option("--redis", help="URL of the Redis that has the data.")]
DataOption = Annotated[str | None, typer.Option("--data-dir", help="The data directory, live or stopped.")]
PrefixOption = Annotated[str | None, typer.Option("--key-prefix", help="First part of the keys.")]
