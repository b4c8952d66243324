"""The secrets that sign tokens: given, else kept in the data directory, where the first is made."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from gifting.config import Settings, read_secrets
from gifting.errors import BadSetting


def secret_path(settings: Settings) -> Path:
    return settings.data_path / "secret"


def find_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets, the first of which signs. Raises BadSetting."""
    if settings.secret:
        return settings.secrets
    path = secret_path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            _write_secret(path)
    except OSError as error:
        raise BadSetting(f"The secret can't be kept in {path}: {error.strerror}.") from None
    return read_secret_file(path)


def read_secret_file(path: Path) -> tuple[str, ...]:
    """Raises BadSetting if it can be read by others, or not at all, or has something else in it."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BadSetting(f"{path} can be read by others; chmod 600 it.")
        return read_secrets(path.read_text(encoding="ascii"))
    except OSError as error:
        raise BadSetting(f"{path} can't be read: {error.strerror}.") from None
    except UnicodeError:
        raise BadSetting(f"{path} has more than ASCII in it.") from None


def _write_secret(path: Path) -> None:
    """Whole or not at all: a name of its own first, then a link, which fails if another process was faster."""
    if path.exists():
        return
    draft = path.with_name(f"secret.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
