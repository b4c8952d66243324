"""The limit of open files: every client is one."""

from __future__ import annotations

import os
import resource


def raise_limit() -> int:
    """Have the soft limit as high as the hard one allows; what it is then."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def count_open() -> int:
    """Files that this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208
