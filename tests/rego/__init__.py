"""Exported Rego, tried by an engine of that language."""
