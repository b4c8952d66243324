"""Everything that can go wrong, and what to do about it.

::

    GiftingError                internal: a fault of the server
    ├── BadRequest                what was sent can't be understood
    │   ├── BadMessage              bad_message
    │   ├── UnknownOp               unknown_op
    │   ├── MessageTooLarge         message_too_large
    │   ├── MethodNotAllowed        method_not_allowed
    │   ├── BadId                   bad_id
    │   ├── HeadTooLarge            head_too_large
    │   ├── RequestTimeout          request_timeout
    │   ├── UpgradeRequired         upgrade_required
    │   ├── BadKey                  bad_key
    │   ├── BadAmount               bad_amount
    │   ├── UnknownGift             unknown_gift
    │   ├── UnknownPackage          unknown_package
    │   ├── UnknownProvider         unknown_provider
    │   ├── BadReceipt              bad_receipt
    │   ├── BadZone                 bad_zone
    │   ├── UnknownTier             unknown_tier
    │   ├── BadPeriod               bad_period
    │   ├── NoPdf                   no_pdf
    │   └── BadCursor               bad_cursor
    ├── Denied                    this token may not do that
    │   ├── BadToken                bad_token
    │   ├── UnknownSigner           unknown_signer
    │   ├── TokenExpired            token_expired
    │   ├── TokenRevoked            token_revoked
    │   ├── TokenInUrl              token_in_url
    │   ├── BadOrigin               bad_origin
    │   ├── Forbidden               forbidden
    │   ├── BadWebhook              bad_webhook
    │   └── SecondFactorRequired    second_factor_required
    ├── Refused                   understood and allowed, but the rules say no; this attempt charged nothing
    │   ├── NotFound                not_found
    │   │   ├── OrderNotFound         order_not_found
    │   │   ├── PayoutNotFound        payout_not_found
    │   │   ├── CaseNotFound          case_not_found
    │   │   ├── GiftNotFound          gift_not_found
    │   │   └── NoArchive             no_archive
    │   ├── RoomNotFound            room_not_found
    │   ├── RoomEnded               room_ended
    │   ├── RoomTaken               room_taken
    │   ├── TooManyLiveRooms        too_many_live_rooms
    │   ├── NotJoined               not_joined
    │   ├── OwnRoom                 own_room
    │   ├── InsufficientCoins       insufficient_coins
    │   ├── WalletFull              wallet_full
    │   ├── ListFull                list_full
    │   ├── KeyReused               key_reused
    │   ├── KeyExpired              key_expired
    │   │   └── NotCharged            not_charged: said by clients only
    │   ├── KeyInFuture             key_in_future
    │   ├── LimitsUnasked           limits_unasked
    │   ├── PriceTooLow             price_too_low
    │   ├── WalletMax               wallet_max
    │   ├── TooManyOrders           too_many_orders
    │   ├── PromotionOver           promotion_over
    │   ├── NotWithdrawable         not_withdrawable
    │   ├── NotEnoughDiamonds       not_enough_diamonds
    │   ├── PayoutTooSmall          payout_too_small
    │   ├── KycRequired             kyc_required
    │   ├── NoDestination           no_destination
    │   ├── PayoutsHeld             payouts_held
    │   ├── PayoutDecided           payout_decided
    │   ├── CaseClosed              case_closed
    │   ├── NotReversible           not_reversible
    │   ├── PeriodLocked            period_locked
    │   ├── PeriodOpen              period_open
    │   ├── Conflict                conflict
    │   └── Protected             a rule that protects who spends, of the account, the region or the room
    │       ├── AgeRequired           age_required
    │       ├── RegionNotAllowed      region_not_allowed
    │       ├── AccountNotAllowed     account_not_allowed
    │       ├── Banned                banned
    │       ├── AccountFrozen         account_frozen
    │       ├── OnBreak               on_break
    │       ├── GiftCap               gift_cap
    │       ├── StreakCap             streak_cap
    │       ├── SpendingTooFast       spending_too_fast
    │       ├── SpendingLimit         spending_limit
    │       ├── GuardianLimit         guardian_limit
    │       ├── PlatformLimit         platform_limit
    │       ├── ConfirmRequired       confirm_required
    │       ├── PurchaseLimit         purchase_limit
    │       ├── PurchaseCap           purchase_cap
    │       ├── PayoutMax             payout_max
    │       ├── DestinationNew        destination_new
    │       ├── GiftingOff            gifting_off
    │       ├── RoomAge               room_age
    │       ├── RoomRegion            room_region
    │       ├── RoomMaxGift           room_max_gift
    │       ├── Blocked               blocked
    │       └── Muted                 muted
    ├── Limited                   too much at once; later it will work
    │   ├── RateLimited             rate_limited
    │   ├── TooManyConnections      too_many_connections
    │   ├── ServerFull              server_full
    │   ├── TooManyRooms            too_many_rooms
    │   ├── TooManyTokens           too_many_tokens
    │   ├── SlowMode                slow_mode
    │   ├── TooManyCases            too_many_cases
    │   └── Overloaded              overloaded
    ├── ProviderFailed            provider_failed: a payment provider
    ├── PayoutsOff                payouts_off
    ├── Unavailable               the ledger can't be asked, or this node can't
    │   ├── LedgerUnavailable       ledger_unavailable
    │   ├── LedgerFull              ledger_full
    │   ├── LedgerHalted            ledger_halted
    │   ├── ArchiveUnavailable      archive_unavailable
    │   ├── NotReady                not_ready
    │   ├── OutcomeUnknown          outcome_unknown
    │   └── Unconfirmed             unconfirmed
    └── StartError                the server or a command can't start, or not go on
        ├── BadSetting              bad_setting
        ├── NoServer                no_server
        ├── SeveralServers          several_servers
        ├── NoData                  no_data
        ├── BadFile                 one that can be read again while the server runs
        │   ├── BadCatalog            bad_catalog
        │   ├── BadPrices             bad_prices
        │   ├── BadRegions            bad_regions
        │   ├── BadModeration         bad_moderation
        │   └── BadCreators           bad_creators
        ├── BadArchive              bad_archive
        ├── ArchiveNeeded           archive_needed
        ├── NoRedis                 no_redis
        ├── UnfitCluster            a Redis Cluster on which not every promise would hold
        │   ├── ClusterTooOld         cluster_too_old
        │   ├── ClusterDown           cluster_down
        │   ├── ClusterUnsafe         cluster_unsafe
        │   ├── ClusterUntold         cluster_untold
        │   ├── ClusterAllOrNothing   cluster_all_or_nothing
        │   ├── ClusterUnguarded      cluster_unguarded
        │   ├── ClusterStale          cluster_stale
        │   ├── ClusterAlone          cluster_alone
        │   ├── ClusterUnconfirmed    cluster_unconfirmed
        │   ├── ClusterClocks         cluster_clocks
        │   ├── ClusterService        cluster_service
        │   ├── ClusterLayout         cluster_layout
        │   └── ClusterLost           cluster_lost
        ├── DataDirInUse            data_dir_in_use
        ├── DiskFailed              disk_failed
        ├── MissingExtra            missing_extra
        ├── MissingTool             missing_tool
        ├── BenchFailed             bench_failed
        ├── NotConfirmed            not_confirmed
        ├── Unmendable              unmendable
        ├── SourceInUse             source_in_use
        ├── OtherBooks              other_books
        ├── BooksMoved              books_moved
        ├── BooksArriving           books_arriving
        ├── Unmovable               unmovable
        └── ServerFailed            server_failed

Every class carries a ``code`` (stable, for programs), a ``help`` sentence (for people: what to do), ``temporary``
(whether trying the same again can help) and the HTTP ``status`` it becomes.

The classes are in modules by branch; all are had from here.
"""

from __future__ import annotations

from collections.abc import Iterator

from gifting.errors.archiving import *  # noqa: F403
from gifting.errors.base import GiftingError as GiftingError
from gifting.errors.buying import *  # noqa: F403
from gifting.errors.cashing import *  # noqa: F403
from gifting.errors.refusals import *  # noqa: F403
from gifting.errors.requests import *  # noqa: F403
from gifting.errors.spending import *  # noqa: F403
from gifting.errors.starting import *  # noqa: F403
from gifting.errors.support import *  # noqa: F403
from gifting.errors.unavailable import *  # noqa: F403


def all_errors(root: type[GiftingError] = GiftingError) -> Iterator[type[GiftingError]]:
    """Every error that has a code of its own."""
    for error in root.__subclasses__():
        if "code" in vars(error):
            yield error
        yield from all_errors(error)


def by_code(code: str, detail: str = "") -> GiftingError:
    """The error a server's reply names; an unknown code becomes the root, keeping its text."""
    for error in all_errors():
        if error.code == code:
            return error(detail)
    return GiftingError(f"{code}: {detail}")
