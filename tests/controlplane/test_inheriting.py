"""Policies that inherit are offered, compared, agreed and judged with their parents, and never without one that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from connector.controlplane import inheriting
from connector.controlplane.shelving import DEFINITION, POLICY
from connector.dsp import messages as m
from connector.dsp.tables import State
from connector.errors import Conflict, PolicyError
from connector.odrl import jsonld
from tests.controlplane.scene import DATASET, USE, Node, agreement_tree, only_for, pids

HOUSE = "urn:acme:house-rules"
FORBIDDEN = {"prohibition": [{"action": "distribute"}]}
PARENT: dict[str, Any] = {"@id": HOUSE, "@type": "Set", **FORBIDDEN}
CHILD: dict[str, Any] = {**only_for("research"), "inheritFrom": [HOUSE]}


async def keep(node: Node, policy: dict[str, Any] = PARENT, name: str = "house") -> None:
    await node.offerings.put("alice", POLICY, name, {"id": name, "policy": policy})


# --- what we offer


async def test_what_is_offered_says_what_its_parents_say(node: Node) -> None:
    await keep(node)
    await node.publish(CHILD)
    (terms,) = (await node.offerings.shelf("alice")).items[DATASET].terms
    assert "inheritFrom" not in terms.tree
    assert terms.tree["prohibition"] == [{"action": "distribute"}]
    # a parent that changes changes what is offered
    await keep(node, {**PARENT, "prohibition": [{"action": "sell"}]})
    (terms,) = (await node.offerings.shelf("alice")).items[DATASET].terms
    assert terms.tree["prohibition"] == [{"action": "sell"}]


async def test_a_policy_may_inherit_by_the_name_under_which_another_is_kept(node: Node) -> None:
    await keep(node, {"@type": "Set", **FORBIDDEN})
    await node.publish({**CHILD, "inheritFrom": "house"})
    assert (await node.offerings.shelf("alice")).items[DATASET].terms[0].policy.prohibitions


async def test_a_policy_whose_parent_is_not_known_is_not_published(node: Node) -> None:
    with pytest.raises(PolicyError, match=f"the parent policy `{HOUSE}` is not known"):
        await node.publish(CHILD)
    assert (await node.offerings.shelf("alice")).items == {}


async def test_a_parent_that_nobody_would_enforce_is_no_parent_of_what_is_published(node: Node) -> None:
    await keep(node)
    await node.publish(CHILD)
    nonsense = {"leftOperand": "urn:nobody:knows", "operator": "eq", "rightOperand": "1"}
    with pytest.raises(PolicyError, match="nobody would enforce"):
        await keep(node, {**PARENT, "permission": [{"action": "use", "constraint": [nonsense]}]})


async def test_a_parent_is_not_deleted_under_its_children(node: Node) -> None:
    await keep(node)
    await node.publish(CHILD)
    with pytest.raises(Conflict, match="policy `def-terms` inherits from it"):
        await node.offerings.delete("alice", POLICY, "house")
    await node.offerings.delete("alice", DEFINITION, "def")
    await node.offerings.delete("alice", POLICY, "def-terms")
    await node.offerings.delete("alice", POLICY, "house")


def test_a_name_that_stands_for_two_policies_stands_for_none() -> None:
    one, other = jsonld.read(PARENT), jsonld.read({**PARENT, "prohibition": [{"action": "sell"}]})
    assert HOUSE in inheriting.family({"a": one, "b": one})
    assert HOUSE not in inheriting.family({"a": one, "b": other})


def test_a_policy_that_inherits_from_itself_is_refused() -> None:
    ring = {
        "urn:a": jsonld.read({"@id": "urn:a", "inheritFrom": "urn:b", **USE}),
        "urn:b": jsonld.read({"@id": "urn:b", "inheritFrom": "urn:a"}),
    }
    with pytest.raises(PolicyError, match="inherits from itself") as found:
        inheriting.whole(ring["urn:a"], ring)
    assert (found.value.flaw, found.value.where) == ("cycle", "policy.inheritFrom")


def test_an_agreement_on_true_is_none_on_one() -> None:
    def of(right: object) -> dict[str, Any]:
        rule = {"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": right}]}
        return {"@type": "Offer", "@id": "urn:o", "permission": [rule]}

    assert inheriting.is_same(of(1), of(1), {})
    assert inheriting.is_same(of(1), of(1.0), {})
    assert not inheriting.is_same(of(1), of(True), {})


# --- what a consumer asks of us


async def test_terms_that_inherit_from_ours_are_compared_and_agreed_whole(node: Node) -> None:
    await keep(node)
    await node.publish({"permission": [{"action": "use"}], "inheritFrom": [HOUSE]})
    pid = await node.requested(terms=CHILD, purpose="research")
    assert (await node.negotiation(pid)).state is State.AGREED
    (sent,) = node.host.of("ContractAgreementMessage")
    agreement = sent.tree["agreement"]
    assert "inheritFrom" not in str(agreement)
    assert agreement["prohibition"] == [{"action": "distribute"}]
    # without the parent's prohibition they ask for more than is offered, and are countered
    pid = await node.requested("urn:c:2", terms=only_for("research"), purpose="research")
    assert (await node.negotiation(pid)).state is State.OFFERED


async def test_a_peer_learns_nothing_of_a_policy_that_it_is_not_offered_by_naming_it(node: Node) -> None:
    await keep(node)
    await keep(node, {"@type": "Set", "prohibition": [{"action": "sell"}]}, "fraud-watch")
    await node.publish({**USE, "inheritFrom": [HOUSE]})
    pid = await node.requested(terms={**USE, "inheritFrom": [HOUSE, "fraud-watch"]})
    assert (await node.negotiation(pid)).state is State.TERMINATED
    assert "`fraud-watch` is not known" in str((await node.timeline(pid)).records)
    assert all("sell" not in str(sent.tree) for sent in node.host.sent)


async def test_terms_that_inherit_from_what_nobody_knows_are_refused_with_the_reason(node: Node) -> None:
    await node.publish()
    pid = await node.requested(terms={**USE, "inheritFrom": ["urn:elsewhere:terms"]})
    assert (await node.negotiation(pid)).state is State.TERMINATED
    (sent,) = node.host.of("ContractNegotiationTerminationMessage")
    why = "the parent policy `urn:elsewhere:terms` is not known"
    assert why in str((await node.timeline(pid)).records)
    assert sent.tree["reason"]


# --- what a provider offers us


async def test_our_own_terms_are_sent_whole(node: Node) -> None:
    await keep(node)
    await node.begin(offer=CHILD | {"@id": "urn:o:1"})
    (sent,) = node.host.of("ContractRequestMessage")
    assert sent.tree["offer"]["prohibition"] == [{"action": "distribute"}]
    assert "inheritFrom" not in str(sent.tree)
    with pytest.raises(PolicyError, match="`urn:elsewhere` is not known"):
        await node.begin(offer=CHILD | {"@id": "urn:o:1", "inheritFrom": "urn:elsewhere"})


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_agreement_that_inherits_is_verified_only_with_its_parents(node: Node, is_known: bool) -> None:
    await keep(node, {**PARENT, "permission": [{"action": "read"}], "prohibition": []})
    terms = {**USE, "inheritFrom": [HOUSE if is_known else "urn:elsewhere"]}
    whole = {"permission": [*USE["permission"], {"action": "read"}]}
    process = await node.begin(offer=whole | {"@id": "urn:o:1"})
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement_tree(process, terms)), process.pid)
    found = await node.negotiation(process.pid)
    if not is_known:
        assert found.state is State.TERMINATED
        assert "`urn:elsewhere` is not known" in str((await node.timeline(found.pid)).records)
        return
    assert found.state is State.VERIFIED
    await node.tell(m.ContractNegotiationEventMessage(**pids(found), event_type="FINALIZED"), found.pid)
    agreement = await node.agreements.get("alice", "urn:a:1")
    # what was agreed stands in it, whatever becomes of the parent
    assert {rule["action"] for rule in agreement.policy["permission"]} == {"use", "read"}
    assert node.judge.terms_of(agreement).compiled.fault is None


async def test_an_offer_that_inherits_like_our_wish_is_no_reason_to_accept_it(node: Node) -> None:
    await keep(node)
    process = await node.begin(offer=CHILD | {"@id": "urn:o:1"}, purpose="research")
    unknown = {"@id": "urn:o:2", "@type": "Offer", "target": DATASET, **CHILD, "inheritFrom": ["urn:elsewhere"]}
    await node.tell(m.ContractOfferMessage(**pids(process), offer=unknown), process.pid)
    held = await node.negotiation(process.pid)
    assert held.state is State.OFFERED
    assert "`urn:elsewhere` is not known" in str(held.hold)
