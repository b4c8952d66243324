"""What app stores say: when it is believed, what it means, and that they hear of what was delivered."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/economy/providers/apple/signed.py",
        "apple_signed attack_stores",
        ("    if way.certificates and not _certificates_hold(signed, now_ms):\n", "    if False:\n"),
        ('["x5c"][:2]', '["x5c"][:1]'),
        ("one.not_valid_before_utc <= now <= one.not_valid_after_utc", "one.not_valid_before_utc <= now"),
        ("now_ms - way.age <= told.signedDate <= now_ms + AHEAD", "now_ms - way.age <= told.signedDate"),
        ("now_ms - way.age <= told.signedDate <= now_ms + AHEAD", "told.signedDate <= now_ms + AHEAD"),
        (
            "    if told.signedDate is None:\n        raise",
            "    if told.signedDate is None:\n        return\n        raise",
        ),
        ("    if len(signed) > SIGNED_MAX:\n", "    if False:\n"),
        ("    VerificationStatus.INVALID_ENVIRONMENT: Reason.MODE,\n", ""),
        ("Environment.PRODUCTION if app.live else Environment.SANDBOX", "Environment.PRODUCTION"),
        ('(told.appAccountToken or "").lower()', '(told.appAccountToken or "")'),
        ("max(0, min(told.revocationPercentage, WHOLE))", "told.revocationPercentage"),
        ("    if not told.revocationDate:\n        return 0\n", ""),
        ('told.rawType == "Consumable" and ', ""),
        (' and told.rawInAppOwnershipType in (None, "PURCHASED")', ""),
    ),
    *of(
        "gifting/economy/providers/apple/told.py",
        "apple",
        (
            "order is None or order.provider != NAME or bought.order != order.id",
            "order is None or bought.order != order.id",
        ),
        (
            "order is None or order.provider != NAME or bought.order != order.id",
            "order is None or order.provider != NAME",
        ),
        ("bought.product != product or bought.quantity != 1", "bought.quantity != 1"),
        ("bought.product != product or bought.quantity != 1", "bought.product != product"),
        (" or not bought.consumable:\n", ":\n"),
        ("    if bought.revoked_share:\n", "    if bought.revoked_at:\n"),
        ("Kind.REFUND_FAILED, told.signed_at", "Kind.REFUND_FAILED, bought.bought_at"),
    ),
    *of(
        "gifting/economy/providers/apple/provider.py",
        "apple apple_online",
        ("        if not self._consent:\n", "        if False:\n"),
        ('"GRANT_FULL" if not used', '"GRANT_FULL" if used'),
        (
            "            except BadWebhook as error:\n                log",
            "            except ZeroDivisionError as error:\n                log",
        ),
    ),
    *of(
        "gifting/economy/providers/threads.py",
        "threads",
        ("            self._free.release()\n", ""),
        (
            "            async with asyncio.timeout(self._timeout):\n                await self._free",
            "            async with asyncio.timeout(None):\n                await self._free",
        ),
    ),
    *of(
        "gifting/economy/providers/remote.py",
        "remote",
        ("                if len(body) > ANSWER_MAX:\n", "                if False:\n"),
        ("status not in _AGAIN and status", "status"),
        ("Unauthorised if status in (401, 403) else ProviderRefused", "ProviderRefused"),
    ),
    *of(
        "gifting/economy/providers/google/push.py",
        "google_push",
        (
            '(claims.get("aud"), claims.get("email"), claims.get("email_verified"))',
            '(self._audience, claims.get("email"), claims.get("email_verified"))',
        ),
        (
            '(claims.get("aud"), claims.get("email"), claims.get("email_verified"))',
            '(claims.get("aud"), self._account, claims.get("email_verified"))',
        ),
        (
            '(claims.get("aud"), claims.get("email"), claims.get("email_verified"))',
            '(claims.get("aud"), claims.get("email"), True)',
        ),
        ('claims.get("iss") not in ISSUERS or ', ""),
        (" or ends - issued > LIFE_MAX", ""),
        ("issued - AHEAD <= now < ends + AHEAD", "issued - AHEAD <= now"),
        ("issued - AHEAD <= now < ends + AHEAD", "now < ends + AHEAD"),
        (" and now - self._asked > PAUSE", ""),
        ("            if now - self._got > USABLE:\n", "            if False:\n"),
        ("time.monotonic() - self._got <= FRESH", "True"),
        ("not 0 < len(token) <= TOKEN_MAX", "not token"),
    ),
    *of(
        "gifting/economy/providers/google/told.py",
        "google attack_stores",
        ("    if bought.test is live:\n", "    if False:\n"),
        ("    if bought.test is live:\n", "    if bought.test and live:\n"),
        ("bought.product != product or bought.quantity != 1", "bought.quantity != 1"),
        ("bought.product != product or bought.quantity != 1", "bought.product != product"),
        (" if len(items) == 1 else 0", ""),
        ("    if notice.packageName != package:\n", "    if False:\n"),
        (
            "order is None or order.provider != NAME or bought.order != order.id",
            "order is None or bought.order != order.id",
        ),
        ('withdrawal=next(withdrawn, "")', 'withdrawal=""'),
        ("round(bought.completed.timestamp() * 1000) if bought.completed else at", "at"),
    ),
    *of(
        "gifting/economy/providers/google/provider.py",
        "google stores",
        ("        await self._pusher.check(headers", "        False and await self._pusher.check(headers"),
        (
            "            await self._deliveries.note(effect.reference, effect.at, [bought.product, token])\n",
            "            pass\n",
        ),
        ("        elif bought.id:\n            await self._deliveries.done(reference(bought.id))\n", ""),
        ("            if not await self._is_consumed(token):\n                raise\n", "            pass\n"),
        ("max(since_ms, now - VOIDED_BACK)", "since_ms"),
        ("voided.productType == ONE_TIME and ", ""),
        ("        if amount != order.price:\n", "        if False:\n"),
        ("                if now - at > DELIVERED_WITHIN:\n", "                if False:\n"),
        ("        if order is None and not self._shelf.sells(bought.product):\n", "        if order is None:\n"),
    ),
    *of(
        "gifting/economy/providers/google/play.py",
        "google",
        ('    if not 0 < len(name) <= TOKEN_MAX or name in {".", ".."}:\n', "    if False:\n"),
        ('.get("state") not in _REFUNDED', '.get("state") in _REFUNDED'),
        ("self._access.token(refused=token)", "self._access.token()"),
    ),
    *of(
        "gifting/economy/questions.py",
        "questions",
        ("        if name in self._answered:\n            return\n", ""),
        ("if self._ledger.now_ms() >= request.until:", "if False:"),
        ("        if len(self._answered) > REMEMBERED:\n", "        if False:\n"),
        ("unspent(order, held.paid, held.orders.values())", "order.coins"),
    ),
)
