"""The command line: one module per command, whose heavy parts are imported when it runs."""

from __future__ import annotations

import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, signal  # type: ignore[import-not-found]

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a word, whenever it comes."""
    # Of ``_signal``, since ``signal`` takes ms to load, in which Ctrl-C would be loud.
    signal(SIGINT, SIG_DFL)  # while nothing is there to be ended in order
    from gifting.cli.app import run

    signal(SIGINT, default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
