"""The digital contract of the trusted data space, as ODRL and back, without loss.

    read(tree, dictionary) -> Policy      lenient: misspelt field names, lists with `isA`, "10000 times/day", codes with their text
    write(policy, dictionary) -> tree     strict: the names, codes and forms of the dictionaries; what has no place is refused
    normal(tree, dictionary) -> tree      the strict form of a lenient document
    decision_code(decision)               what usage control calls a decision

A policy of the contract becomes one rule; what ODRL has no term for stays with it as a property and comes back. The dictionary
has no purpose: a purpose travels in `expansionItem`, and `notes` says so. Codes and names are data (`vocab/profiles/tds.json`).
Requests between connectors, signatures and filing are not here.
Source: TC609-6-2025-14 (digital contract), 6.2, annexes B to D; TC609-6-2025-15 (usage control), decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.odrl.tds.decisions import decision_code
from connector.odrl.tds.dictionary import Dictionary, load
from connector.odrl.tds.reading import read
from connector.odrl.tds.writing import notes, write

__all__ = ["Dictionary", "decision_code", "load", "normal", "notes", "read", "write"]


def normal(tree: Mapping[str, Any], dictionary: Dictionary) -> dict[str, Any]:
    """A contract in its strict form, which comes back from ODRL as it went.

    Raises: PolicyError with the path of what means nothing and how to mend it.
    """
    return write(read(tree, dictionary), dictionary)
