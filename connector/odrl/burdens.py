"""What agreeing to somebody's terms would bind us to: the other half of `compare`, which looks at what they permit.

Terms that permit less than ours may still ask something of us: an obligation, a prohibition or a remedy of which the provider is
the assignee, a party in a function that pays or informs, a text that a court reads. Whoever lets a machine agree to another's
terms asks here first, and has a person read what is found.
Source: ODRL Information Model 2.2, sections 2.3 (functions of parties), 2.6.3 to 2.6.7 (whom a rule binds).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from connector.odrl.canonical import rule_text
from connector.odrl.expand import composed
from connector.odrl.model import Duty, PartyRef, Permission, Policy, Rule


def burdens(terms: Policy, asked: Policy, consumer: str) -> Iterator[str]:
    """Each rule of `asked` that our `terms` do not have and that names another party than the `consumer` whom it should bind,
    and each text about the whole that is not ours; nothing when agreeing to it binds nobody else."""
    ours, theirs = composed(terms), composed(asked)
    own = {_named(rule) for rule in _whole(ours)}
    granting = {party.uid for holder in (ours, *_parts(_whole(ours))) for party in holder.assigners}
    shared = {(one.name, one.party) for one in ours.functions}
    for rule in _parts(one for one in _whole(theirs) if _named(one) not in own):
        named = [("assigner", party) for party in rule.assigners if not (_is_plain(party) and party.uid in granting)]
        if not isinstance(rule, Permission):
            # whom a permission is for, and in what functions, is compared as part of what it permits
            named += [("assignee", party) for party in rule.assignees if not (_is_plain(party) and party.uid == consumer)]
            named += [(one.name, one.party) for one in rule.functions if (one.name, one.party) not in shared]
        for role, party in named:
            yield f"`{rule.where}` makes `{party.uid or party.source}` its `{role}`, which our terms do not"
    for name, text in theirs.extra:
        if (name, text) not in ours.extra:
            yield f"the `{name.rpartition('/')[2]}` of what is asked is not ours"


def _whole(policy: Policy) -> Iterator[Rule]:
    """What stands or falls together: a duty is a condition of any permission, while a remedy or a consequence is one of its own
    prohibition or duty, and would be another burden at another."""
    for permission in policy.permissions:
        yield replace(permission, duties=())
        yield from permission.duties
    yield from policy.prohibitions
    yield from policy.obligations


def _named(rule: Rule) -> tuple[str, str]:
    return rule.role if isinstance(rule, Duty) else type(rule).__name__, rule_text(rule)


def _parts(rules: Iterable[Rule]) -> Iterator[Rule]:
    waiting = list(rules)
    while waiting:
        rule = waiting.pop(0)
        yield rule
        if not isinstance(rule, Permission):
            waiting += rule.consequences if isinstance(rule, Duty) else rule.remedies


def _is_plain(party: PartyRef) -> bool:
    return party.uid is not None and not party.is_collection
