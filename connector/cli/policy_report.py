"""A compliance report as RDF: exactly one `report:PolicyReport`, in the form of the public ODRL test cases.

What a report is made of, and when it says what, is the engine's business (`odrl.compliance`). Nodes of the report have no names;
a duty whose report the state of the world already has is linked to that one.
Source: Compliance Report Model (https://w3id.org/force/compliance-report); README of the public ODRL test cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.cli.policy_state import DCT, REPORT, State

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.compliance import DutyReport, PolicyReport, PremiseReport, RuleReport
    from connector.odrl.model import Constraint, Value

_ODRL = "http://www.w3.org/ns/odrl/2/"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
PREFIXES = {
    "report": REPORT,
    "odrl": _ODRL,
    "dct": DCT,
    "rdfs": _RDFS,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
# performance state, deontic state
_STANDS = {
    "pending": ("Unknown", "NonSet"),
    "fulfilled": ("Performed", "Fulfilled"),
    "violated": ("Unperformed", "Violated"),
    "waived": ("Unperformed", "NonSet"),
}


def turtle(report: PolicyReport, state: State | None) -> str:
    """The report as Turtle; `state` as in `graph`."""
    from connector import rdf

    return rdf.turtle(graph(report, state).triples, PREFIXES)


def graph(report: PolicyReport, state: State | None) -> rdf.Graph:
    """The report as triples; `state` gives the time and earlier reports on duties as its file spells them."""
    from connector import rdf

    writer = Writer(report, state)
    writer.policy(report)
    return rdf.Graph(tuple(writer.triples))


class Writer:
    """Makes triples of a report; what is written of each part is the model's business."""

    def __init__(self, report: PolicyReport, state: State | None) -> None:
        from connector import rdf

        self.rdf = rdf
        self.triples: list[rdf.Triple] = []
        self.count = 0
        self.is_asked = report.request is not None
        now = report.created.isoformat()
        self.now = now
        # the time as the state spells it, unless the question was about another one
        is_same = state is not None and state.world.now == report.created
        told = rdf.Literal(now.replace("+00:00", "Z"), f"{rdf.XSD}dateTime")
        self.created = state.created if state is not None and is_same else told
        self.reports: Mapping[str, rdf.Iri] = state.reports if state else {}

    def blank(self) -> rdf.Blank:
        self.count += 1
        return self.rdf.Blank(f"r{self.count}")

    def node(self, kind: str) -> rdf.Blank:
        node = self.blank()
        self.say(node, self.rdf.TYPE, self.rdf.Iri(REPORT + kind))
        return node

    def say(self, node: rdf.Node, name: str, value: rdf.Term) -> None:
        self.triples.append((node, name, value))

    def tell(self, node: rdf.Node, name: str, word: str) -> None:
        self.say(node, REPORT + name, self.rdf.Iri(REPORT + word))

    def named(self, uid: str | None) -> rdf.Node:
        """What a policy or a request calls one of its nodes; a node without a name of its own here too."""
        return self.rdf.Iri(uid) if uid and ":" in uid and not uid.startswith("_:") else self.blank()

    def policy(self, report: PolicyReport) -> None:
        node = self.node("PolicyReport")
        self.say(node, f"{DCT}created", self.created)
        self.say(node, f"{REPORT}policy", self.named(report.policy))
        if report.request is not None:
            self.say(node, f"{REPORT}policyRequest", self.named(report.request))
        for rule in report.rules:
            self.say(node, f"{REPORT}ruleReport", self.rule(rule))
        for duty in report.obligations:
            self.say(node, f"{REPORT}ruleReport", self.duty(duty))

    def rule(self, report: RuleReport) -> rdf.Node:
        node = self.node(report.kind)
        self.tell(node, "attemptState", "Attempted")
        self.say(node, f"{REPORT}rule", self.named(report.rule.uid))
        if report.asked is not None or self.is_asked:
            self.say(node, f"{REPORT}ruleRequest", self.named(report.asked))
        for premise in report.premises:
            self.say(node, f"{REPORT}premiseReport", self.premise(premise))
        for duty in report.conditions:
            self.say(node, f"{REPORT}conditionReport", self.reports.get(duty.key) or self.duty(duty))
        self.tell(node, "activationState", "Active" if report.is_active else "Inactive")
        return node

    def duty(self, report: DutyReport) -> rdf.Node:
        node = self.node(report.kind)
        performance, deontic = _STANDS[report.state]
        self.say(node, f"{REPORT}rule", self.named(report.rule.uid))
        self.tell(node, "activationState", "Active" if report.is_active else "Inactive")
        self.tell(node, "performanceState", performance)
        self.tell(node, "deonticState", deontic)
        for premise in report.premises:
            self.say(node, f"{REPORT}premiseReport", self.premise(premise))
        return node

    def premise(self, report: PremiseReport) -> rdf.Node:
        from connector.odrl.model import LogicalConstraint

        node = self.node(report.kind)
        constraint = report.constraint
        if constraint is not None:
            self.say(node, f"{REPORT}constraint", self.named(constraint.uid))
        if isinstance(constraint, LogicalConstraint):
            self.say(node, f"{REPORT}constraintLogicalOperand", self.rdf.Iri(_ODRL + constraint.operand))
        elif constraint is not None:
            self.compared(node, constraint, report)
        for member in report.members:
            self.say(node, f"{REPORT}premiseReport", self.premise(member))
        self.tell(node, "satisfactionState", "Satisfied" if report.is_satisfied else "Unsatisfied")
        if report.doubt:
            # the model knows two states: that this one is doubt, and why, is said beside it
            self.say(node, f"{_RDFS}comment", self.rdf.Literal(report.doubt))
        return node

    def compared(self, node: rdf.Node, constraint: Constraint, report: PremiseReport) -> None:
        """What stood on the left; and on a satisfied constraint, what it was compared with and how."""
        for text in report.left:
            self.say(node, f"{REPORT}constraintLeftOperand", self.left(text, constraint))
        if report.is_satisfied:
            self.say(node, f"{REPORT}constraintOperator", self.rdf.Iri(_ODRL + constraint.operator))
            for value in constraint.right:
                self.say(node, f"{REPORT}constraintRightOperand", self.value(value))

    def left(self, text: str, constraint: Constraint) -> rdf.Term:
        if text == self.now:
            return self.created
        first = constraint.right[0] if constraint.right else None
        if first is not None and first.is_iri:
            return self.rdf.Iri(text) if ":" in text else self.rdf.Iri(_ODRL + text)
        return self.rdf.Literal(text, first.datatype) if first is not None and first.datatype else self.rdf.Literal(text)

    def value(self, value: Value) -> rdf.Term:
        if value.is_iri:
            return self.rdf.Iri(value.text if ":" in value.text else _ODRL + value.text)
        if value.language:
            return self.rdf.Literal(value.text, f"{self.rdf.RDF}langString", value.language)
        return self.rdf.Literal(value.text, value.datatype or f"{self.rdf.XSD}string")
