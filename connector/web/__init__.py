"""The HTTP edge: routes of ten lines, errors as responses, callers, limits. Nothing is decided here."""
