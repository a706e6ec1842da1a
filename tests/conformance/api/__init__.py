"""The operator API against its own description: `python -m tests.conformance.api`."""
