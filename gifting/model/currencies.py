"""Currencies, as ISO 4217 lists them: which there are, and how many decimals their minor unit has.

MGA has none: its fifths are in no use, and no provider takes them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_TWO: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG"
)

EXPONENTS: Final = {
    code: exponent for exponent, codes in ((0, _NONE), (2, _TWO), (3, _THREE)) for code in codes.split()
}
"""Decimals of each currency's minor unit: an amount in minor units is money × 10^exponent."""


class Money(Struct, frozen=True, order=True):
    """An ``amount`` in minor units of a ``currency``."""

    amount: int
    currency: str

    def __str__(self) -> str:
        """As in 4.99 USD."""
        exponent = EXPONENTS[self.currency]
        units, rest = divmod(self.amount, 10**exponent)
        return f"{units}.{rest:0{exponent}} {self.currency}" if exponent else f"{units} {self.currency}"
