"""How much anybody may connect, send and read."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Allowances:
    """What each may send."""

    message_max: int = setting(4096, "Largest message from a client.", least=256, most=1 << 20)
    message_rate: float = setting(
        100.0, "Messages a user may send per second, over all connections of a process; every frame is one.", least=1
    )
    message_burst: int = setting(200, "Messages a user may send at once.", least=1)
    byte_rate: float = setting(
        65_536.0, "Bytes a user may send per second, control frames and refused ones too.", least=256
    )
    byte_burst: int = setting(262_144, "Bytes a user may send at once.", least=1024)
    flood_timeout: float = setting(
        10.0, "Who sends more than allowed is read more slowly, and after this long without a rest closed.", least=0.1
    )
    like_rate: float = setting(
        50.0, "Likes per second that a user may give, over all connections of a process, by their count.", least=0.1
    )
    like_burst: int = setting(500, "Likes a user may give at once, and in one message.", least=1, most=9_999)
    comment_rate: float = setting(
        2.0, "Comments, shares and follows a user may send per second, over all connections of a process.", least=0.01
    )
    comment_burst: int = setting(10, "Comments, shares and follows a user may send at once.", least=1)
    member_rate: float = setting(
        10.0, "`member` events per second and room; joins beyond it only count as viewers.", least=0
    )


@dataclass(frozen=True, kw_only=True)
class Connecting:
    """Connections."""

    connections: int = setting(
        50_000, "Sockets per process, HTTP too; less where the limit of open files is lower.", least=1
    )
    address_connections: int = setting(
        1000, "Sockets per process from one address; 0: any number. Trusted proxies may have any number.", least=0
    )
    user_connections: int = setting(
        20, "Connections per process of one user in one role and, where the token names one, room.", least=1
    )
    connection_rooms: int = setting(10, "Rooms one connection may have joined.", least=1)
    head_max: int = setting(16_384, "Largest head of a request, its address included.", least=1024, most=1 << 20)
    head_timeout: float = setting(
        10.0, "How long a request's head may take to arrive, and then its body; also a new socket's silence.", least=0.1
    )
    ping_interval: float = setting(20.0, "Silence after which a connection is pinged.", least=1)
    ping_timeout: float = setting(20.0, "Silence after a ping that closes the connection.", least=1)
