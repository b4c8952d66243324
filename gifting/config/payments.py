"""Who takes payments for coins."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Payments:
    """Payments."""

    providers: str = setting(
        "",
        "Who takes payments for coins: sandbox (play money), stripe, apple, google, comma-separated, or none. Empty: "
        "sandbox with a private Redis, none with another.",
    )
    payers: str = setting(
        "",
        "Who pays creators out: sandbox (play money), stripe, comma-separated, or none. Empty: sandbox with a private "
        "Redis, none with another.",
    )
    reconcile_interval: float = setting(
        60.0, "Providers are asked this often for what never came by webhook.", least=0.05, most=86400
    )
    reconcile_window: float = setting(
        3 * 86400.0, "How far back they are asked after a start.", least=60, most=30 * 86400
    )
    settlements_interval: float = setting(
        3600.0,
        "Providers are asked this often for what they settled, by the archiver, which keeps it. 0: never.",
        least=0,
        most=30 * 86400,
    )
    reversal_loss: str = setting(
        "creator",
        "Who bears it when a gift is reversed: creator (the diamonds are taken back, and what is not there is debt) or "
        "platform (the creator keeps them).",
    )
    breakage_after: int = setting(
        0,
        "Days after which a paid coin that is not spent counts as breakage in the report of deferred revenue, though "
        "it is still good. 0: never.",
        least=0,
        most=3650,
    )
    sandbox_delay: float = setting(
        10.0, "How long the sandbox waits before what its cards do later, such as a refund.", least=0, most=86400
    )


@dataclass(frozen=True, kw_only=True)
class Stripe:
    """Stripe."""

    stripe_key: str = setting("", "Secret key of Stripe's API, sk_… or rk_…; one for tests takes no real money.")
    stripe_webhook_secrets: str = setting(
        "", "Secrets of the endpoint that Stripe's webhooks come to (whsec_…), comma-separated; all are believed."
    )
    stripe_connect_secrets: str = setting(
        "",
        "Secrets of the Connect endpoint that Stripe's webhooks about creators' accounts come to (whsec_…), "
        "comma-separated; all are believed.",
    )
    stripe_account: str = setting("", "The connected account that sells (acct_…). Empty: the key's own.")
    stripe_api: str = setting("", "Address of Stripe's API, for tests. Empty: the real one.")


@dataclass(frozen=True, kw_only=True)
class Stores:
    """App stores."""

    stores_live: bool = setting(
        True, "Take real purchases of Apple's and Google's stores and refuse those of testers; off: the reverse."
    )
    apple_bundle: str = setting("", "Bundle id of the app whose App Store purchases are taken.")
    apple_app_id: int = setting(0, "The app's number in the App Store (Apple ID), for real purchases.", least=0)
    apple_roots: str = setting(
        "", "Files with Apple's root certificates (AppleRootCA-G3.cer and others), comma-separated."
    )
    apple_key: str = setting("", "File with the in-app purchase key of App Store Connect (.p8).")
    apple_key_id: str = setting("", "Id of that key.")
    apple_issuer: str = setting("", "Issuer id of App Store Connect.")
    apple_online_checks: bool = setting(True, "Ask Apple whether the certificates of what it signed were revoked.")
    apple_consent: bool = setting(
        False,
        "All users have agreed that Apple is told how much of a purchase they spent, when they ask it for a refund.",
    )
    apple_api: str = setting("", "Address of Apple's server API, for tests. Empty: the real one.")
    google_package: str = setting("", "Package name of the app whose Google Play purchases are taken.")
    google_service_account: str = setting(
        "", "File with the key of a service account (JSON) that may see and manage the app's orders."
    )
    google_push_audience: str = setting("", "The audience that the push subscription of Pub/Sub names.")
    google_push_account: str = setting("", "Email address of the service account by which Pub/Sub pushes.")
    google_api: str = setting("", "Address of Google's servers, for tests. Empty: the real ones.")
