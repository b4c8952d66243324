"""How events reach those who watch."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.bounds import FRAME_MAX_MOST
from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Events to those who watch."""

    flush_pause: float = setting(0.05, "Longest pause between two fan-out passes when busy.", least=0, most=1)
    all_interval: float = setting(
        0.0, "Shortest time between two frames of lane `all`; above 0 trades latency for CPU.", least=0, most=5
    )
    live_interval: float = setting(0.1, "Shortest time between two frames of lane `live`.", least=0, most=5)
    live_top: int = setting(
        8, "Gift events per frame of lane `live`, highest first; as many others, newest first.", least=1, most=100
    )
    like_interval: float = setting(0.25, "Likes of a room are folded into one event per this long.", least=0, most=5)
    viewers_interval: float = setting(2.0, "Viewer counts are published this often, when changed.", least=0.05)
    frame_max: int = setting(262_144, "Events are joined into frames up to this size.", least=4096, most=FRAME_MAX_MOST)
    recent_max: int = setting(1_048_576, "Recent events kept in memory per room for catching up.", least=4096)
    replay_loads: int = setting(
        8, "Log pages read at once for those who catch up, one per connection; others wait in turn.", least=1, most=64
    )
    replay_rate: float = setting(
        4_194_304.0, "Bytes per second of missed events that a user, role and room may be given.", least=65_536
    )
    replay_burst: int = setting(
        16_777_216, "Bytes of missed events that a user, role and room may be given at once.", least=65_536
    )
    write_buffer: int = setting(65_536, "Unsent bytes after which a subscriber is skipped until it drains.", least=1024)
    slow_timeout: float = setting(60.0, "A subscriber that can't take data for this long is closed.", least=1)
    heartbeat_timeout: float = setting(
        3.0, "Silence of the event feed from Redis after which it is made anew.", least=0.2
    )
