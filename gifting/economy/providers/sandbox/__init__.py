"""Play money: a local checkout whose cards come to all ends that there are, told by signed webhooks as Stripe does."""

from gifting.economy.providers.sandbox.provider import make as make
