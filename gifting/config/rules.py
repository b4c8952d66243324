"""What things cost and who may do what."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Gifts, prices and rules."""

    catalog: str = setting(
        "", "TOML file with the gifts; read again by a reload, as the next four. Empty: the one in the package."
    )
    prices: str = setting("", "TOML file with packages, prices and promotions. Empty: the one in the package.")
    regions: str = setting(
        "", "TOML file with what holds where: ages, caps, withdrawal. Empty: the one in the package."
    )
    moderation: str = setting("", "TOML file with what comments are held for. Empty: the one in the package.")
    creators: str = setting(
        "", "TOML file with what creators get: tiers, holds, payouts. Empty: the one in the package."
    )
    age_check: bool = setting(
        True, "Gifts and purchases need an age that the token vouches for, and that the user's region asks for."
    )
    gifting_accounts: str = setting(
        "personal", "Kinds of account (`account` of a token) that may send gifts and buy, comma-separated."
    )
    confirm_first_gift: bool = setting(True, "A user's first gift ever has to be confirmed.")
