"""``gifting demo``: a whole evening in one process. A server, two rooms, viewers who send gifts, and a live table."""

from gifting.demo.run import DemoOptions, run_demo

__all__ = ["DemoOptions", "run_demo"]
