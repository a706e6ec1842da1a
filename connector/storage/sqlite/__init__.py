"""The state store in one SQLite file: the default."""
