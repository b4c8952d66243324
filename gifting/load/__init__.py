"""The load generator: senders, viewers, and the books that prove what was delivered."""
