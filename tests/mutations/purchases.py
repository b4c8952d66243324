"""Purchases: who is believed, what may be bought, what is taken up again."""

from __future__ import annotations

from tests.mutations.mutant import of

ECONOMY = "gifting/economy"
PROVIDERS = f"{ECONOMY}/providers"

MUTANTS = (
    *of(
        f"{PROVIDERS}/signature.py",
        "signature",
        ("    if abs(now_ms - int(at) * 1000) > WEBHOOK_AGE:", "    if now_ms - int(at) * 1000 > WEBHOOK_AGE:"),
        ("    check_age(at, now_ms)\n\n\ndef read_header", "\n\ndef read_header"),
        ("    if not any(hmac.compare_digest(", "    if any(hmac.compare_digest("),
        ("at = next((part[2:] for part in header", "at = max((part[2:] for part in header"),
        ('at.encode() + b"." + body', "body"),
    ),
    *of(
        f"{PROVIDERS}/stripe_api.py",
        "economy/stripe",
        ("    check_age(at, now_ms)  #", "    #"),
    ),
    *of(
        f"{PROVIDERS}/stripe.py",
        "economy/stripe",
        ("        self._check(event)\n", ""),
        ("event.livemode != self.live:", "event.livemode and not self.live:"),
        ('(event.account or "") != self._account', "bool(event.account) and not self._account"),
        ("        return [effect for effect in found if effect.order]", "        return found"),
        ("                if event.livemode == self.live:\n", "                if True:\n"),
    ),
    *of(
        f"{PROVIDERS}/stripe_events.py",
        "economy/stripe sandbox_history",
        ('(Kind.PAYING if seen.payment_status == "unpaid" else Kind.PAID)', "Kind.PAID"),
        ("    if not read(event.data.object, Object).says(ORDER):\n        return None, NOBODYS\n", ""),
        ('    "pending": Kind.REFUNDED,', '    "pending": Kind.REFUND_FAILED,'),
        ("        seen.created * 1000,\n", "        0,\n"),
        ("        withdrawal=seen.says(WITHDRAWAL),\n", ""),
    ),
    *of(
        f"{PROVIDERS}/sandbox/checkout.py",
        "sandbox_history economy/sandbox",
        ('    _must_be(checkout, now, "open", "confirm")\n    fate', "    fate"),
        ("    if any(one.withdrawal == withdrawal for one in checkout.refunds):\n        return checkout\n", ""),
        ("not 0 < amount <= left", "not 0 < amount <= checkout.amount"),
        ("        if self.closed_at or now >= self.expires:", "        if self.closed_at:"),
    ),
    *of(
        f"{PROVIDERS}/sandbox/sender.py",
        "economy/sandbox",
        (
            "found[:] = [] if one is None or max(one.at, known.again) > now else [one]",
            "found[:] = [] if one is None else [one]",
        ),
        ("        if told or tries >= TRIES_MAX:\n", "        if told:\n"),
        (" in TAKEN\n", " > 0\n"),
    ),
    *of(
        "gifting/ledger/lua/sandbox_put.lua",
        "economy/sandbox",
        ("if (redis.call('HGET', KEYS[1], id) or '') ~= was then\n  return 0\nend\n", ""),
        ("  redis.call('HDEL', KEYS[1], old)\n", ""),
    ),
    *of(
        f"{ECONOMY}/draft.py",
        "draft",
        ("    _may_buy(wanted, rules, account, record)\n", ""),
        ("(Frozen.WARNING | Frozen.DISPUTE)", "(Frozen.WARNING | Frozen.DISPUTE | Frozen.DEBT)"),
        ("account.coins + waiting + sold.coins", "account.coins + sold.coins"),
        ("if state(order) not in CAME_TO_NOTHING]", "if order.issued]"),
        ("        first = False\n", ""),
        ("    if wanted.price not in {0, sold.price}:", "    if wanted.price > sold.price:"),
    ),
    *of(
        f"{ECONOMY}/reconcile.py",
        "reconcile",
        (
            "            except GiftingError as error:\n                log.warning(\"%s can't",
            "            except KeyError as error:\n                log.warning(\"%s can't",
        ),
        ("        self._since[provider.name] = now - OVERLAP", "        self._since[provider.name] = now"),
        ("            order = await self._refunds.finish(order, name)", "            pass"),
        ("now >= order.expires + grace:", "now >= order.expires:"),
    ),
    *of(
        f"{ECONOMY}/withdrawals.py",
        "reconcile",
        ("except (ProviderFailed, UnknownProvider) as", "except UnknownProvider as"),
        ("except (ProviderFailed, UnknownProvider) as", "except ProviderFailed as"),
        ("        except (Unavailable, Conflict) as error:", "        except Conflict as error:"),
        ("            self._purchases.provider(order.provider)\n            shown", "            shown"),
        ("        if told is None:\n", "        if not told:\n"),
        ("        elif not told:\n", "        elif False:\n"),
    ),
    *of(
        f"{ECONOMY}/purchases.py",
        "reconcile",
        ("            if key_time(wanted.key) > now + self._lead_ms:\n", "            if False:\n"),
    ),
)
