"""The Dataspace Protocol 2025-1 over HTTP: its addresses, one signature for all, its error bodies."""
