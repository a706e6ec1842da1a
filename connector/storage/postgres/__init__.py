"""The state store in PostgreSQL, shared by the replicas of a node: with the extra `postgres`."""
