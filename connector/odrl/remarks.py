"""What the Information Model asks of a policy and this one leaves out: read leniently, judged as written, and worth saying.

Absent means "any" in a rule, as public test cases have it; a policy without a profile is judged by all words that are known,
because nearly all policies in use name none. What can never be judged is told by `premises`; rules against each other, by
`analyse.conflict`.
Source: ODRL Information Model 2.2, sections 2.1 (profile), 2.6 (Rule), 2.6.1, 2.6.2; facts of policies in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connector.odrl.model import Diagnostic, Policy, Rule, Severity, Shared
from connector.odrl.values import Duration
from connector.odrl.vocabulary import Vocabulary

CORE_ACTIONS = frozenset({"use", "transfer"})
_MOST_MONTHS = 12


def remarks(policy: Policy, vocabulary: Vocabulary) -> Iterator[Diagnostic]:
    """One remark for each kind of omission, at the first place where it is found."""
    rules: Sequence[Rule] = (*policy.permissions, *policy.prohibitions, *policy.obligations)
    yield from _lacking(
        [rule for rule in rules if not rule.actions and not policy.actions], "no-action", "action", "it is about any action"
    )
    about = (*policy.permissions, *policy.prohibitions)
    if any(rule.targets for rule in about) and not policy.targets:
        # terms that name no target anywhere are about what they are published with (DSP 2025-1, Catalog Protocol)
        yield from _lacking([rule for rule in about if not rule.targets], "no-target", "target", "it is about any asset")
    strange = next(
        (
            action
            for rule in rules
            for action in rule.actions
            if action.name not in CORE_ACTIONS and vocabulary.action(action.name) is not None
        ),
        None,
    )
    if strange is not None and not policy.profiles:
        yield Diagnostic(
            code="no-profile",
            severity=Severity.WARNING,
            where=strange.where,
            what=f"`{strange.name}` is no term of the core vocabulary, and the policy names no profile",
            mend="name the profile that defines it; it is judged as this node knows it",
        )


def _lacking(rules: Sequence[Shared], code: str, part: str, read_as: str) -> Iterator[Diagnostic]:
    if rules:
        many = f"{len(rules)} rules have no {part}" if len(rules) > 1 else f"a rule has no {part}"
        yield Diagnostic(
            code=code, severity=Severity.WARNING, where=rules[0].where, what=f"{many}; {read_as}", mend=f"name its {part}"
        )


def is_months_for_minutes(text: str, value: object) -> bool:
    """Whether a duration looks as if `M` were meant for minutes: `P60M` is sixty months, `PT60M` sixty minutes."""
    is_bare = text.strip().lstrip("-").startswith("P") and text.strip().endswith("M") and "T" not in text and "Y" not in text
    return is_bare and isinstance(value, Duration) and value.months > _MOST_MONTHS
