"""The load generator: senders, viewers, and the counters that prove what was delivered."""
