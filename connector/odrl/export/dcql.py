"""What a party must show before it may use the data: the credentials that a policy asks for, as a DCQL query.

Each permission is one way to be let in (`credential_sets`); each condition on a claim is a claim of a credential, with the values
that are good where the condition names them. A claim `MembershipCredential.region` is one of that type of credential; of a bare
claim the type is not known, so any credential may show it.
Source: OpenID for Verifiable Presentations 1.0, section 6 (Digital Credentials Query Language).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.odrl.model import AnyConstraint, Constraint, Diagnostic, LogicalOperand, Operator, Permission, Policy, Severity
from connector.odrl.operands import right_side
from connector.odrl.standing import standing
from connector.odrl.truth import Unknown
from connector.odrl.values import Typed
from connector.odrl.vocabulary import Operand, SourceKind, Vocabulary

_NAMED = (Operator.EQ, Operator.IS_ANY_OF)
_CREDENTIALS = "credentials"
_MOST_WAYS = 64


def query(policy: Policy, vocabulary: Vocabulary) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """The query, and the conditions that no credential answers or that say more than a query can."""
    writer = _Writer(vocabulary)
    options = [option for rule in standing(policy, vocabulary).permissions for option in writer.options(rule)]
    tree: dict[str, Any] = {"credentials": list(writer.asked.values())}
    ways = [list(option) for option in dict.fromkeys(map(tuple, options)) if option]
    if len(ways) > 1 or (ways and [] in options):
        # a permission that asks for no credential makes showing any of them optional
        tree["credential_sets"] = [{"options": ways, "required": [] not in options}]
    return tree, tuple(dict.fromkeys(writer.lost))


class _Writer:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.asked: dict[str, dict[str, Any]] = {}
        self.lost: list[Diagnostic] = []

    def options(self, rule: Permission) -> list[list[str]]:
        """The ways to be let in by one permission: the credentials of each, by their names in the query."""
        refined = (one for party in rule.assignees for one in party.refinements)
        return self.all_of((*rule.constraints, *refined))

    def all_of(self, constraints: Sequence[AnyConstraint]) -> list[list[str]]:
        ways: list[list[str]] = [[]]
        for one in constraints:
            ways = [list(dict.fromkeys((*way, *more))) for way in ways for more in self.ways(one)][:_MOST_WAYS]
        return ways

    def ways(self, one: AnyConstraint) -> list[list[str]]:
        if isinstance(one, Constraint):
            name = self.asked_for(one)
            return [[name] if name else []]
        if one.operand is LogicalOperand.OR:
            return [way for member in one.members for way in self.ways(member)]
        if one.operand is LogicalOperand.XONE:
            self.lose(one, "`xone` of conditions")
            return [[]]
        return self.all_of(one.members)

    def lose(self, one: AnyConstraint, what: str) -> None:
        mend = "it is judged when it is known"
        self.lost.append(Diagnostic(code="not-carried", severity=Severity.ERROR, where=one.where, what=what, mend=mend))

    def asked_for(self, one: Constraint) -> str | None:
        operand = self.vocabulary.operand(one.left)
        claims = [source.name for source in operand.sources if source.kind is SourceKind.CLAIM] if operand else []
        right = right_side(one, operand) if operand else ()
        if operand is None or not claims or isinstance(right, Unknown):
            self.lose(one, f"`{operand.short if operand else one.left[:60]}`, which no credential says")
            return None
        return self.credential(one, operand, claims[0], right)

    def credential(self, one: Constraint, operand: Operand, claim: str, right: tuple[Typed, ...]) -> str:
        kind, dot, name = claim.rpartition(".")
        if claim == _CREDENTIALS and one.operator in _NAMED:
            kind, dot, name = str(right[0]), ".", ""
        values = [str(value) for value in right] if one.operator in _NAMED and name else []
        if one.operator not in _NAMED:
            self.lose(one, f"`{operand.short} {one.operator}`: the query asks for the claim, not for its value")
        key = f"c{len(self.asked) + 1}"
        row: dict[str, Any] = {"id": key, "format": "ldp_vc"}
        if dot:
            row["meta"] = {"type_values": [[kind]]}
        if name:
            row["claims"] = [{"path": ["credentialSubject", name], **({"values": values} if values else {})}]
        for known, asked in self.asked.items():
            if {**asked, "id": ""} == {**row, "id": ""}:
                return known
        self.asked[key] = row
        return key
