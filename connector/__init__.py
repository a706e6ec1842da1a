"""Kontor, the trusted data space connector.

What lives here: the version, and nothing that costs time to import. The rooms and floors are described in the README.
"""

__version__ = "0.1.0"
