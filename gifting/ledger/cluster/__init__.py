"""The ledger on a Redis Cluster: where its keys are, who has them now, and what is said to whom."""
