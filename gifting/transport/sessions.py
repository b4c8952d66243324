"""The open sessions of this process, by user."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gifting.transport.session import Session


class Sessions:
    """Most users have one session, which then costs no set of its own."""

    __slots__ = ("_users",)

    def __init__(self) -> None:
        self._users: dict[str, Session | set[Session]] = {}

    def add(self, session: Session) -> None:
        user = session.identity.user
        found = self._users.get(user)
        if found is None:
            self._users[user] = session
        elif isinstance(found, set):
            found.add(session)
        else:
            self._users[user] = {found, session}

    def discard(self, session: Session) -> None:
        user = session.identity.user
        found = self._users.get(user)
        if isinstance(found, set):
            found.discard(session)
            if len(found) == 1:
                self._users[user] = found.pop()
        elif found is session:
            del self._users[user]

    def alone(self, session: Session) -> bool:
        """Whether it is its user's only one."""
        return self._users.get(session.identity.user) is session

    def of(self, user: str) -> Collection[Session]:
        """Those of one user."""
        found = self._users.get(user)
        if found is None:
            return ()
        return found if isinstance(found, set) else (found,)

    def __iter__(self) -> Iterator[Session]:
        for found in self._users.values():
            if isinstance(found, set):
                yield from found
            else:
                yield found

    def __bool__(self) -> bool:
        return bool(self._users)
