"""Payout providers: who brings creators their money."""
