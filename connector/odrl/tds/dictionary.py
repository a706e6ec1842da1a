"""The dictionaries of the digital contract as data: actions, constraints, operators, and the names that documents misspell.

Source: TC609-6-2025-14, annex C (dictionaries C.1 to C.6), annex B (interfaces).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from connector.errors import ConfigurationError
from connector.odrl.model import Operator
from connector.odrl.vocabulary import Vocabulary

TDS = "https://w3id.org/kontor/ns/tds/"
CONTRACT = f"{TDS}contract"
EXPANSION = f"{TDS}expansionItem"
POLICY_EXPANSION = f"{TDS}policyExpansion"
PRODUCT = f"{TDS}subjectInfo"
NODE = f"{TDS}executionNode"
STRATEGY = f"{TDS}strategyId"
VALIDITY = f"{TDS}indate"
# the identifier of the condition that the validity of a contract is, and the properties under which a rule keeps what ODRL has no term for

KINDS = MappingProxyType(
    {"permissionPolicies": "permission", "prohibitionPolicies": "prohibition", "obligationPolicies": "obligation"}
)
STATUSES = ("01", "02", "03", "0301", "0302", "05", "06")
SIGN_MODES = ("01", "02")
# by field: the longest text, and whether it must be there
BASIC: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "contractId": (47, True),
        "contractName": (128, True),
        "contractAbstract": (1024, False),
        "contractStatus": (4, True),
        "createTime": (14, False),
        "signMode": (2, True),
        "signTime": (14, False),
        "signature": (65536, False),
        "indate": (14, False),
    }
)
SUBJECT: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "dataProductId": (65, True),
        "dataProductName": (128, False),
        "dataProductAbstract": (1024, False),
        "dataProductEntityId": (18, False),
    }
)
NODES: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "providerNodeId": (32, True),
        "providerNodeName": (128, False),
        "consumerNodeId": (32, False),
        "consumerNodeName": (128, False),
    }
)
SIGNATORY: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "signatoryEntityId": (18, True),
        "signatoryEntityName": (128, False),
        "signatorytype": (2, True),
        "signatoryTime": (14, False),
        "signature": (65536, False),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """The names and codes of the contract, with what they are in ODRL."""

    actions: Mapping[str, str]
    # name -> ODRL action, by its canonical name
    constraints: Mapping[str, str]
    # name -> left operand, by its canonical name
    operators: Mapping[str, Operator]
    # code -> operator
    misspelt: Mapping[str, str]
    # field names, actions and constraints as some documents write them -> as they should be

    def spelled(self, name: str) -> str:
        """A name as it should be written."""
        return self.misspelt.get(name, name)

    def action_of(self, odrl: str) -> str | None:
        """The contract's name for an ODRL action."""
        return next((name for name, term in self.actions.items() if term == odrl), None)

    def constraint_of(self, odrl: str) -> str | None:
        """The contract's name for a left operand."""
        return next((name for name, term in self.constraints.items() if term == odrl), None)

    def code_of(self, operator: Operator) -> str:
        """The contract's code for an operator."""
        return next(code for code, found in self.operators.items() if found is operator)


def load(tree: Mapping[str, Any], vocabulary: Vocabulary) -> Dictionary:
    """The dictionary in the section `contract` of a profile.

    Raises: ConfigurationError naming a word that the vocabulary does not know.
    """
    section: Mapping[str, Any] = tree["contract"]
    actions: dict[str, str] = {}
    for name, word in {**section["actions"], **section.get("extra_actions", {})}.items():
        action = vocabulary.action(word)
        if action is None:
            raise ConfigurationError(
                f"unknown action `{word}`", where=f"contract.actions.{name}", mend=vocabulary.hint_action(word)
            )
        actions[name] = action.name
    constraints: dict[str, str] = {}
    for name, word in section["constraints"].items():
        operand = vocabulary.operand(word)
        if operand is None:
            where = f"contract.constraints.{name}"
            raise ConfigurationError(f"unknown operand `{word}`", where=where, mend=vocabulary.hint_operand(word))
        constraints[name] = operand.name
    return Dictionary(
        actions=MappingProxyType(actions),
        constraints=MappingProxyType(constraints),
        operators=MappingProxyType({code: Operator(name) for code, name in section["operators"].items()}),
        misspelt=MappingProxyType(dict(section.get("misspelt", {}))),
    )
