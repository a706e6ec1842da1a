"""The operator API `/api/v1`, health and metrics: FastAPI over the use cases and the store's lists. Nothing is decided here."""
