"""The root of all errors."""

from __future__ import annotations

from typing import ClassVar


class GiftingError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""

    code: ClassVar[str] = "internal"
    help: ClassVar[str] = (
        "Something failed inside the server. Try again, a gift with the same key; if it stays, tell the operator."
    )
    temporary: ClassVar[bool] = True
    status: ClassVar[int] = 500

    until: int = 0
    """When what is in the way ends, in ms since 1970; 0 where it does not end by itself, or nobody knows when."""

    cap: int = 0
    """Coins that are allowed; 0 where it is not about coins."""

    confirm: str = ""
    """With this the same is done after all; '' where nothing helps."""

    price: tuple[int, str] | None = None
    """What it would cost: minor units, and their currency."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def message(self) -> str:
        """What happened, if more is known than the code says, and then what to do."""
        return f"{self.detail} {self.help}" if self.detail else self.help

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
