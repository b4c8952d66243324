"""Purchases: what talks to the outside about money. What money does to an account is decided in the ledger."""
