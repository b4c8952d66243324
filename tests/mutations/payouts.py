"""Money out: who may ask for it, what leaves twice or comes back twice, and what is paid of money that is not there."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/wire/second_factor.py",
        "wire/second_factor",
        ("    if identity.mfa_at > now + leeway:\n", "    if False:\n"),
        ("    if identity.mfa_at + FRESH <= now:\n", "    if identity.mfa_at + FRESH < now:\n"),
    ),
    *of(
        "gifting/wire/tokens.py",
        "wire/second_factor",
        ("        claims.auth_time if MFA in claims.amr else 0.0,\n", "        claims.auth_time,\n"),
    ),
)
