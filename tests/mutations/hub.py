"""What is metered, on a connection and of a user."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/hub/limits.py",
        "hub/limits attack_frames",
        ("        elif messages_full_at - now >= rates.message_span:\n            return False\n", ""),
        ("        elif bytes_full_at - now >= rates.byte_span:\n            return False\n", ""),
        ("        if messages_full_at < now:\n", "        if messages_full_at < 0:\n"),
        ("        if bytes_full_at < now:\n", "        if bytes_full_at < 0:\n"),
        ("messages_full_at + messages * rates.message_cost", "messages_full_at + rates.message_cost"),
        ("bytes_full_at + size * rates.byte_cost\n        return True", "bytes_full_at\n        return True"),
        ("now + 2 * rates.message_span\n", "1e300\n"),
        ("if entry.connections >= self._user_connections:", "if entry.connections > self._user_connections:"),
        (
            "        if not entry.take(now):\n            self._remember(who, entry)\n            raise",
            "        if False:\n            raise",
        ),
        ("        entry.connections -= 1\n", ""),
        ("            self._visitors[who] = entry\n", ""),
        ("            while len(self._visitors) > VISITORS_MAX:\n", "            while False:\n"),
        ('    return f"{identity.role}/{identity.room}/{identity.user}"', "    return identity.user"),
        ('    if identity.role == "viewer" and not identity.room:\n', '    if identity.role == "viewer":\n'),
    ),
    *of(
        "gifting/hub/hub.py",
        "hub/hub",
        ("        await end(self._opening.values())\n", ""),
    ),
    *of(
        "gifting/tasks.py",
        "tasks",
        ("        await end([*tasks, results])\n", "        pass\n"),
        ("        await end([*tasks, results])\n", "        await end([results])\n"),
        ("        await asyncio.wait([results])  #", "        await results  #"),
        ("            cancelled = error\n", "            raise\n"),
        ("        raise cancelled\n", "        pass\n"),
    ),
    *of(
        "gifting/demo/cluster.py",
        "demo/killer",
        ("        except NoRedis as error:\n            log", "        except OSError as error:\n            log"),
        ("timeout=MENDED_WITHIN)\n            await end([self._killing])\n", "timeout=MENDED_WITHIN)\n"),
    ),
    *of(
        "gifting/transport/throttle.py",
        "attack_frames",
        ("            connection.close(CloseCode.TOO_FAST)\n", ""),
        ("            connection.read_on()\n", ""),
        ("        if not connection.used_up(now):\n", "        if False:\n"),
        (
            "        self._spells[connection] = (began if now - last < REST else now, now)\n",
            "        self._spells[connection] = (began, now)\n",
        ),
    ),
    *of(
        "gifting/transport/connection.py",
        "metering attack_frames",
        ("not take(now, (end if sound else size) - start)", "not take(now)"),
        (
            "                if not start and not take(now):  # a frame in many pieces costs as many\n                    self._hold(throttled=True)\n                break\n",
            "                break\n",
        ),
        ("        if self.closing and (parser.over or data[0] & _OPCODE != CLOSE):\n", "        if parser.over:\n"),
        ("        elif not self.closing or (self._parser is not None and not self._parser.over):\n", "        else:\n"),
        (
            "            self._transport.pause_reading()\n        if self.paused_at is None:\n            if throttled",
            "            pass\n        if self.paused_at is None:\n            if throttled",
        ),
        ("end <= payload + message_max", "True"),
    ),
    *of(
        "gifting/hub/meter.py",
        "meter",
        ("        if full_at - now > self._span + SLACK:\n", "        if full_at - now > 2 * self._span:\n"),
        ("min(full_at, now + 2 * self._span)", "full_at"),
        ("if at > now}", "if at > now + 1e9}"),
        ("        self._full_at[who] = full_at\n", "        self._full_at[who] = now\n"),
    ),
    *of(
        "gifting/transport/sending.py",
        "attack_free",
        ("    if message.count > gateway.settings.like_burst:\n", "    if False:\n"),
    ),
    *of(
        "gifting/transport/wallets.py",
        "wallets",
        ('            elif session.identity.role != "overlay":\n', "            else:\n"),
        ("                self._untold.pop(session, None)\n", "                pass\n"),
        ("        self.due = now + WALLET_INTERVAL\n", ""),
        ("            if session.can_take:\n", "            if True:\n"),
        ("            elif not session.closing:\n", "            else:\n"),
    ),
    *of("gifting/transport/sending.py", "wallets", (" or outcome.duplicate", "")),
    *of("gifting/api/gifts.py", "wallets", ("    if not result.duplicate:\n", "    if True:\n")),
    *of("gifting/api/users.py", "wallets", ("    if not granted.duplicate:\n", "    if True:\n")),
    *of(
        "gifting/transport/connection.py",
        "connection",
        ("            self.session = None  # it holds this", "            pass  # it holds this"),
    ),
    *of(
        "gifting/transport/joining.py",
        "hub server protocol",
        (
            "    if len(session.subscriptions) >= gateway.settings.connection_rooms:\n        raise errors.TooManyRooms\n",
            "",
        ),
        (
            "    if len(session.subscriptions) >= gateway.settings.connection_rooms:\n",
            "    if len(session.subscriptions) > gateway.settings.connection_rooms:\n",
        ),
    ),
    *of(
        "gifting/transport/commands.py",
        "hub server protocol",
        ('    if identity.role == "overlay" and not isinstance(message, READ_ONLY):\n', "    if False:\n"),
        ('    if identity.room and getattr(message, "room", identity.room) != identity.room:\n', "    if False:\n"),
    ),
)
