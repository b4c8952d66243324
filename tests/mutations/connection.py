"""The connection to Redis: what comes over it, when it is given up, who makes it anew, and what the feed notices."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/connection.py",
        "redis_connection",
        # What comes.
        ("replyError=read_error, ", ""),
        ("protocolError=InvalidResponse, ", ""),
        ('                    if reply[0] == b"smessage":\n', "                    if len(reply) > 2:\n"),
        ("                if type(reply) is PushNotification:\n", "                if isinstance(reply, list):\n"),
        ("waiting.popleft().done(reply)", "waiting.pop().done(reply)"),
        (
            '                    self.fail(InvalidResponse("Redis said something that nobody had asked for."))\n',
            "                    pass\n",
        ),
        (
            "        except Exception as error:\n            self.fail(error)\n",
            "        except Exception:\n            pass\n",
        ),
        # Time.
        ("        if self._timer is None:\n            self._timer =", "        if True:\n            self._timer ="),
        ("            self._timer = self._loop.call_later(self._timeout, self._watch)\n", "            pass\n"),
        (
            "        self._timer = None\n        if not self._waiting:\n            return\n",
            "        self._timer = None\n",
        ),
        ("        if late < 0:\n", "        if late < -self._timeout:\n"),
        ("call_later(-late, self._watch)", "call_later(self._timeout, self._watch)"),
        ("        elif self._overdue is not oldest or (", "        elif ("),
        ("(self._heard and late < self._timeout)", "False"),
        ("(self._heard and late < self._timeout)", "self._heard"),
        ("(self._heard and late < self._timeout)", "late < self._timeout"),
        # The end.
        ("            self._waiting.popleft().done(error)", "            self._waiting.pop().done(error)"),
        ("        while self._waiting:\n            self._waiting.popleft().done(error)\n", ""),
        ("        self._transport.abort()\n", ""),
        ("        self.closed.set()\n", ""),
        ("        if self._parting is not None and not waiting:\n            self.fail(self._parting)\n", ""),
        ("self._parting is not None and not waiting", "self._parting is not None"),
        ("self._parting, self.up = why, False", "self._parting = why"),
        ("            self.fail(why)\n", "            pass\n"),
    ),
    *of(
        "gifting/ledger/connection.py",
        "slow_reader",
        ("            self._transport.write(_HEAR_NO_MORE)\n", "            pass\n"),
        ("        self._parting, self.up = why, False\n", "        self.fail(why)\n        return\n"),
    ),
    *of(
        "gifting/ledger/connector.py",
        "connector",
        ("            await asyncio.sleep(RETRY_PAUSE)\n", "            await asyncio.sleep(0)\n"),
        ("            _call_each(self.tried)\n", ""),
        ("            _call_each(self.came_up)\n", ""),
        ("            except (RedisError, OSError) as error:", "            except OSError as error:"),
        ("            except (RedisError, OSError) as error:", "            except Exception as error:"),
        ("        if trouble != self._trouble:\n", "        if True:\n"),
        ("        self._trouble = trouble\n", "        self._trouble = self._trouble or trouble\n"),
        ('            self._trouble = ""\n', ""),
        ("self._address.greeting, self._channels)", "self._address.greeting, ())"),
        ("            self._connection.part(why)\n", "            self._connection.fail(why)\n"),
    ),
    *of(
        "gifting/ledger/address.py",
        "connector",
        ("ssl=self._context())", "ssl=None)"),
        ('options.get("username", DEFAULT_USER)', "DEFAULT_USER"),
        ("return [hello, ", "return [hello] or ["),
        ("if self._password is not None else ()", "if False else ()"),
        ('name.startswith("ssl_")', "False"),
    ),
    *of(
        "gifting/ledger/feed.py",
        "feed",
        ("        if channel == self._heartbeat:\n            self._pulse.hear()\n            return\n", ""),
        ("        except Exception:\n            log", "        except ZeroDivisionError:\n            log"),
        ('a room failed: all rooms look into their logs")\n            self._resync()\n', '")\n'),
        ("        self.reconnects += 1\n", ""),
        ("        self._ready.set()\n", ""),
        ("        self._ready.set()\n        self._resync()\n", "        self._ready.set()\n"),
    ),
    *of(
        "gifting/ledger/pulse.py",
        "feed",
        ("            self._heard_at += max(", "            max("),
        ("            self._connector.renew(silent)", "            pass"),
        ("        elif self._alone or self._unanswered == self._connector.unanswered:\n", "        else:\n"),
        ("            self._connector.fail(silent)\n", "            pass\n"),
        ("            self._unanswered -= 1\n", ""),
        ("int(held[1]) > BACKLOG_MAX", "int(held[1]) >= BACKLOG_MAX"),
        ("if isinstance(info, bytes) else None", "if info else None"),
        ("held is not None and ", "held is None or "),
        ("return self._time() - self._heard_at <= self._timeout", "return True"),
    ),
)
