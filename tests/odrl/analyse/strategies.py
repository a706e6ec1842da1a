"""Random policies with all that the analysis reads, and requests about them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from connector.odrl.truth import DutyState, Request, Stage, Taxonomy, World
from tests.odrl import strategies as some

Ask = tuple[Request, World, Stage]
DUTIES: tuple[dict[str, Any], ...] = (
    {"action": "attribute", "@id": "urn:d1"},
    {"action": "inform", "@id": "urn:d2", "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}]},
    {"action": "delete"},
)  # fmt: skip
COLLECTION = {"@type": "PartyCollection", "source": "urn:group"}
MEMBERSHIPS: tuple[dict[str, frozenset[str]], ...] = (
    {},
    {"did:a": frozenset({"urn:group"})},
    {"did:a": frozenset(), "did:b": frozenset({"x"})},
)
TAXONOMIES: tuple[dict[str, Taxonomy], ...] = (
    {},
    {
        "purpose": Taxonomy(parents={"urn:acme:p": ("research",)}),
        "spatial": Taxonomy(parents={"urn:acme:r": ("EU",), "EU": ()}),
    },
)
_RELATIVE = st.builds(
    lambda operator, days: {"leftOperand": "inForceDate", "operator": operator, "rightOperand": f"contractAgreement+{days}d"},
    st.sampled_from(["lt", "lteq", "gt", "gteq", "eq"]),
    st.integers(0, 20),
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = draw(some.rules())
    if draw(st.integers(0, 3)) == 0:
        rule = {**rule, "constraint": [*rule.get("constraint", []), draw(_RELATIVE)]}
    if draw(st.integers(0, 4)) == 0:
        rule = {**rule, "assignee": COLLECTION}
    return rule


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    permissions = draw(st.lists(rules(), min_size=1, max_size=3))
    for rule in permissions:
        if draw(st.integers(0, 3)) == 0:
            rule["duty"] = draw(st.lists(st.sampled_from(DUTIES), min_size=1, max_size=2, unique_by=str))
    tree: dict[str, Any] = {"@type": "Agreement", "@id": "urn:p", "permission": permissions}
    if draw(st.integers(0, 2)) == 0:
        tree["prohibition"] = draw(st.lists(rules(), min_size=1, max_size=2))
        tree["conflict"] = draw(st.sampled_from(["perm", "prohibit", "invalid"]))
    return tree


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    request, world = draw(some.requests()), draw(some.worlds())
    states = {key: draw(st.sampled_from(list(DutyState))) for key in ("urn:d1", "urn:d2") if draw(st.booleans())}
    world = World(
        now=world.now,
        claims=world.claims,
        duties=states,
        agreed_at=draw(st.one_of(st.none(), st.just(some.START), st.just(some.START.replace(day=5)))),
        memberships=draw(st.sampled_from(MEMBERSHIPS)),
        taxonomies=draw(st.sampled_from(TAXONOMIES)),
    )
    return request, world, draw(some.STAGES)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two policies, often near each other."""
    first = draw(policies())
    if draw(st.integers(0, 3)) == 0:
        return first, draw(policies())
    return first, draw(some.variations(first))
