"""What agreeing to somebody's terms would bind us to: the other half of `compare`, which looks at what they permit.

Terms that permit less than ours may still ask something of us: an obligation, a prohibition or a remedy of which the provider is
the assignee, a party in a function that pays or informs, a text that a court reads. Whoever lets a machine agree to another's
terms asks here first, and has a person read what is found.
Source: ODRL Information Model 2.2, sections 2.3 (functions of parties), 2.6.3 to 2.6.7 (whom a rule binds).
"""

from __future__ import annotations

from collections.abc import Iterator

from connector.odrl.canonical import rule_text
from connector.odrl.expand import composed, every_duty
from connector.odrl.model import PartyRef, Permission, Policy, Rule


def burdens(terms: Policy, asked: Policy, consumer: str) -> Iterator[str]:
    """Each rule of `asked` that our `terms` do not have and that names another party than the `consumer` whom it should bind,
    and each text about the whole that is not ours; nothing when agreeing to it binds nobody else."""
    ours, theirs = composed(terms), composed(asked)
    own = {rule_text(rule) for rule in _rules(ours)}
    granting = {party.uid for holder in (ours, *_rules(ours)) for party in holder.assigners}
    shared = {(one.name, one.party) for one in ours.functions}
    for rule in _rules(theirs):
        if rule_text(rule) in own:
            continue
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


def _rules(policy: Policy) -> Iterator[Rule]:
    yield from policy.permissions
    yield from policy.prohibitions
    yield from every_duty(policy)


def _is_plain(party: PartyRef) -> bool:
    return party.uid is not None and not party.is_collection
