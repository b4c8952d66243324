"""Several commands to a Redis Cluster at once: side by side to all nodes, or as a transaction to one slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.commands import CoreCommands

from gifting.ledger.cluster.request import Request, Said, say
from gifting.ledger.cluster.router import Router

Read = Callable[[str, Any, dict[str, Any]], Any]


class ClusterPipeline(CoreCommands):
    """As redis-py's: each command is kept until :meth:`execute`, and returns the pipeline.

    Without ``transaction`` those of one node go in one write; what it turns away is said again, and so may come behind
    what went behind it.
    """

    _event_dispatcher = None  # type: ignore[assignment]  # of connections, which these commands have none of

    def __init__(self, router: Router, read: Read, transaction: bool) -> None:
        self._router, self._read, self._transaction = router, read, transaction
        self._commands: list[tuple[str, Said, dict[str, Any]]] = []

    def execute_command(self, *args: Any, **options: Any) -> ClusterPipeline:
        self._commands.append((args[0], say(args), options))
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The replies, in the order of the commands; the pipeline is empty then.

        Raises the first error of a command, if ``raise_on_error``; otherwise errors are among the replies.
        """
        commands, self._commands = self._commands, []
        found = [reply for some in await self._router.say(self._requests(commands)) for reply in some]
        if raise_on_error and (failed := next((each for each in found if isinstance(each, Exception)), None)):
            raise failed
        return [
            reply if isinstance(reply, Exception) else self._read(name, reply, options)
            for (name, _, options), reply in zip(commands, found, strict=True)
        ]

    def _requests(self, commands: list[tuple[str, Said, dict[str, Any]]]) -> list[Request]:
        confirmed, said = self._router.awaited.any, [said for _, said, _ in commands]
        if self._transaction and said:
            return [Request(tuple(said), transaction=True, confirmed=confirmed)]
        return [Request((each,), transaction=False, confirmed=confirmed) for each in said]

    def __len__(self) -> int:
        return len(self._commands)

    def __bool__(self) -> bool:
        return True

    async def __aenter__(self) -> ClusterPipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands = []
