"""The command line: one module per command, whose heavy parts are imported when it runs."""

from gifting.cli.app import main

__all__ = ["main"]
