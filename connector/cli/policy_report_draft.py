"""The same report in the words of the W3C group's draft, where target, party and action are no longer premises of activation.

    rule            activationState: constraints hold and no condition blocks; actionReport, constraintReport, conditionReport
    permission      controlState: Permit when it is active and the action is the one that it permits, refinements included
    prohibition     deonticState: Violated when it is active and the action is the one that it prohibits, else NotSet
    condition       deonticState: Fulfilled, Violated or NotSet
    actionReport    typeReport, targetReport, partyReport, refinementReport

The draft has no names in RDF for these yet: its examples and its ontology differ. We use the namespace of its ontology.
Source: ODRL Formal Semantics (W3C community group draft, 2026-08), "Evaluation Report".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.cli.policy_report import PREFIXES, Writer
from connector.cli.policy_state import DCT, REPORT, State

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.compliance import DutyReport, PolicyReport, PremiseReport, RuleReport

_DEONTIC = {"pending": "NotSet", "fulfilled": "Fulfilled", "violated": "Violated", "waived": "NotSet"}
_MATCHES = {"ActionReport": "typeReport", "TargetReport": "targetReport", "PartyReport": "partyReport"}


def turtle(report: PolicyReport, state: State | None) -> str:
    """The report as Turtle; `state` as in `graph`."""
    from connector import rdf

    return rdf.turtle(graph(report, state).triples, PREFIXES)


def graph(report: PolicyReport, state: State | None) -> rdf.Graph:
    """The report as triples; `state` gives the time as its file spells it."""
    from connector import rdf

    writer = _Writer(report, state)
    writer.policy(report)
    return rdf.Graph(tuple(writer.triples))


class _Writer(Writer):
    def policy(self, report: PolicyReport) -> None:
        node = self.node("PolicyReport")
        self.say(node, f"{DCT}created", self.created)
        self.say(node, f"{REPORT}policy", self.named(report.policy))
        if report.request is not None:
            self.say(node, f"{REPORT}evaluationRequest", self.named(report.request))
        # the engine denies what no rule permits
        self.tell(node, "behaviour", "Closed")
        for rule in report.rules:
            self.say(node, f"{REPORT}ruleReport", self.rule(rule))
        for duty in report.obligations:
            self.say(node, f"{REPORT}ruleReport", self.duty(duty))

    def rule(self, report: RuleReport) -> rdf.Node:
        node = self.node(report.kind)
        self.say(node, f"{REPORT}rule", self.named(report.rule.uid))
        parts = [premise for premise in report.premises if premise.kind.value in _MATCHES]
        constraints = [premise for premise in report.premises if premise.kind.value not in _MATCHES]
        for premise in constraints:
            self.say(node, f"{REPORT}constraintReport", self.premise(premise))
        for duty in report.conditions:
            self.say(node, f"{REPORT}conditionReport", self.duty(duty))
        self.tell(node, "activationState", "Active" if report.is_open else "Inactive")
        self.say(node, f"{REPORT}actionReport", self.action(parts))
        is_met = report.is_open and all(part.is_satisfied for part in parts)
        if report.kind == "PermissionReport":
            self.tell(node, "controlState", "Permit" if is_met else "Deny")
        else:
            self.tell(node, "deonticState", "Violated" if is_met else "NotSet")
        return node

    def action(self, parts: list[PremiseReport]) -> rdf.Node:
        node = self.node("ActionReport")
        for part in parts:
            told = self.rdf.Literal("true" if part.is_alike else "false", f"{self.rdf.XSD}boolean")
            self.say(node, REPORT + _MATCHES[part.kind.value], told)
            for member in part.members:
                self.say(node, f"{REPORT}refinementReport", self.premise(member))
        return node

    def duty(self, report: DutyReport) -> rdf.Node:
        node = self.node("ConditionReport" if report.kind == "DutyReport" else report.kind)
        self.say(node, f"{REPORT}rule", self.named(report.rule.uid))
        for premise in report.premises:
            self.say(node, f"{REPORT}constraintReport", self.premise(premise))
        self.tell(node, "activationState", "Active" if report.is_active else "Inactive")
        # it can become violated or fulfilled only when it is active
        self.tell(node, "deonticState", _DEONTIC[report.state] if report.is_active else "NotSet")
        return node
