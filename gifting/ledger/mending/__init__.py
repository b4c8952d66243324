"""Holes between two partitions of a cluster are mended: what a destination has lost, and the outbox no longer has, is
credited from the source's ledger.
"""
