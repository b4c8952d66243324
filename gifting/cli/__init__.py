"""The command line: one module per command, whose heavy parts are imported when it runs."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a word, whenever it comes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while nothing is there to be ended in order
    from gifting.cli.app import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
