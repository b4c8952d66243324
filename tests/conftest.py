"""Real redis-servers, one of each kind per test session; sessions side by side don't meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from gifting.archive.store import Store, open_store
from gifting.ledger.connect import connect
from tests.support import engine
from tests.support.clusters import in_a_loop_of_its_own, session_cluster
from tests.support.emptied import empty
from tests.support.postgres import Cluster, postgres
from tests.support.redis_server import PORT_ATTEMPTS, folder_in_memory, redis_server, start_cluster

SLOW = ("bench", "browser")
"""Folders of which all tests are slow."""

CLIENT_TIMEOUT = 10.0
"""Longest wait of ``redis_client`` for an answer, seconds."""

# How long a machine that is busy takes for an example says nothing of what is tested.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    engine.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    engine.read_options(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine.choose(config, items)
    for item in items:
        if item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def own_notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers of the tests leave their notes where no command of whoever runs them looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("notes")))
        yield


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A redis-server on a unix socket, or a cluster, shared by the session; it syncs, to memory where there is some."""
    if engine.Engine.cluster:
        with session_cluster() as cluster:
            yield cluster.url
        return
    with folder_in_memory() as folder:
        url = f"unix://{folder}/redis.sock"
        flags = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--unixsocketperm", "700"]
        with redis_server(folder, flags, url, lambda client: client.ping()):
            yield url


@pytest.fixture
def server_redis(request: pytest.FixtureRequest) -> str:
    """What a test's server is given: no Redis, so that it starts its own, or the session's cluster, emptied."""
    if not engine.Engine.cluster:
        return ""
    url: str = request.getfixturevalue("redis_url")
    in_a_loop_of_its_own(empty(url))
    return url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an emptied redis-server or cluster; replies are bytes."""
    client = connect(redis_url, CLIENT_TIMEOUT)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def cluster_redis_url() -> Iterator[str]:
    """A redis-server in cluster mode that owns all slots, shared by the session; flush it before use."""
    with ExitStack() as stack:
        yield start_cluster(stack, PORT_ATTEMPTS)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """A PostgreSQL, shared by the session; it does not sync, as no test cuts its power."""
    with postgres("fsync=off", "max_connections=60", "shared_buffers=64MB") as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> str:
    """The URL of an empty database."""
    return postgres_cluster.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database for an archive, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(archive_url: str) -> AsyncIterator[Store]:
    """An archive of either kind, with its tables, empty."""
    store = open_store(archive_url)
    await store.upgrade()
    yield store
    await store.close()
