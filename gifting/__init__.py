"""A real-time gifting server for live streams. ``gifting.Client`` talks to one from Python."""

TYPE_CHECKING = False
"""As in ``typing``, which is not loaded for it: until this is, Ctrl-C is Python's, and loud."""

if TYPE_CHECKING:
    from gifting.client import Client as Client

__all__ = ["Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name != "Client":  # the command line starts in half the time without it
        raise AttributeError(f"module 'gifting' has no attribute {name!r}")
    from gifting.client import Client

    return Client
