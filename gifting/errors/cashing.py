"""Payouts: why a creator's diamonds don't become money now."""

from __future__ import annotations

from gifting.errors.base import GiftingError
from gifting.errors.refusals import NotFound, Refused
from gifting.errors.requests import BadRequest, Denied
from gifting.errors.spending import Protected


class UnknownTier(BadRequest):
    code = "unknown_tier"
    help = "Choose one of the tiers that the file of --creators names."


class SecondFactorRequired(Denied):
    code = "second_factor_required"
    help = "Sign in with a second factor, and send a token whose `amr` has `mfa` and whose `auth_time` is under 10 min."


class PayoutNotFound(NotFound):
    code = "payout_not_found"
    help = "Check the payout's id; GET /v1/payouts lists your own."


class NotEnoughDiamonds(Refused):
    code = "not_enough_diamonds"
    help = "Ask for no more than what is available; GET /v1/creators/{creator}/balance says how much, and when more is."


class PayoutTooSmall(Refused):
    code = "payout_too_small"
    help = "Wait until the least amount of a payout is available, then ask again."


class KycRequired(Refused):
    code = "kyc_required"
    help = "The creator's identity must be verified first, with the payout provider or by the operator."


class NoDestination(Refused):
    code = "no_destination"
    help = "Say first where the money goes, with PUT /v1/creators/{creator}/destination."


class PayoutsHeld(Refused):
    code = "payouts_held"
    help = "The operator has stopped payouts to this creator; ask the operator."


class PayoutDecided(Refused):
    code = "payout_decided"
    help = "Somebody has decided of this payout already, or it is on its way; read it again."


class PayoutMax(Protected):
    code = "payout_max"
    help = "No more may be paid out to one creator in a day; the rest can be asked for when that ends."


class DestinationNew(Protected):
    code = "destination_new"
    help = "Where the money goes was changed; payouts wait until that has stood for 72 h."


class PayoutsOff(GiftingError):
    code = "payouts_off"
    help = "This server pays nobody out: the operator names payout providers with --payers."
    temporary = False
    status = 409
