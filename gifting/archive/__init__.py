"""The archive: the ledger, and what was said and done beside it, in SQL, for ever. It follows; nothing waits for it."""
