"""``gifting demo``: a whole evening in one process."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def demo(
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8080,
    data_dir: Annotated[str, typer.Option(help="Where to keep the data; empty: nowhere.")] = "",
    viewers: Annotated[int, typer.Option(help="Viewers per room.", min=1, max=2000)] = 40,
    seconds: Annotated[float, typer.Option(help="Stop by itself after this long; 0: at Ctrl-C.", min=0)] = 0.0,
    cluster: Annotated[bool, typer.Option("--cluster", help="On a cluster; a key kills a master.")] = False,
) -> None:
    """Show it: a server, two rooms, viewers who send gifts, and a live table."""
    from gifting.demo import DemoOptions, run_demo

    options = DemoOptions(port=port, data_dir=data_dir, viewers=viewers, seconds=seconds, cluster=cluster)
    sys.exit(run_demo(options))
