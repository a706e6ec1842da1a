"""Generated messages and policies, all of them what we may send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from connector.dsp import messages as m
from connector.dsp.shape import OPERATORS
from connector.dsp.tables import NEGOTIATION, TRANSFER

ids = st.uuids().map(lambda value: f"urn:uuid:{value}")
parties = st.sampled_from(["did:web:provider.example", "did:web:consumer.example", "urn:bpn:BPNL000000000001"])
addresses = st.sampled_from(["https://peer.example/p/dsp/2025-1", "http://localhost:8080/base"])
words = st.from_regex(r"[a-z][A-Za-z0-9]{2,10}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
times = st.datetimes().map(lambda at: at.replace(microsecond=0).isoformat() + "Z")

# one value in an array is what JSON-LD processing makes a bare value of: we never write that
right_operands = (
    texts
    | st.builds(lambda n: {"@type": "xsd:integer", "@value": str(n)}, st.integers())
    | st.lists(texts, min_size=2, max_size=3)
    | st.builds(lambda iri: {"@id": iri}, ids)
)
atomic = st.builds(
    lambda left, operator, right: {"leftOperand": left, "operator": operator, "rightOperand": right},
    words,
    st.sampled_from(OPERATORS),
    right_operands,
)
constraints = st.recursive(
    atomic,
    lambda inner: st.builds(
        lambda name, members: {name: members},
        st.sampled_from(["and", "andSequence", "or", "xone"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": draw(st.sampled_from(["use", "odrl:read", "https://w3id.org/example/index"]))}
    if draw(st.booleans()):
        rule["constraint"] = draw(st.lists(constraints, min_size=1, max_size=3))
    return rule


@st.composite
def policies(draw: st.DrawFn, type_: str, target: bool = True) -> dict[str, Any]:
    policy: dict[str, Any] = {"@id": draw(ids), "@type": type_}
    if target:
        policy["target"] = draw(ids)
    if type_ == "Agreement":
        policy |= {"assigner": draw(parties), "assignee": draw(parties), "timestamp": draw(times)}
    if draw(st.booleans()):
        policy["profile"] = draw(st.sampled_from(["https://w3id.org/example/profile", "urn:profile:1"]))
    for name in draw(st.sampled_from([["permission"], ["prohibition"], ["permission", "prohibition", "obligation"]])):
        policy[name] = draw(st.lists(rules(), min_size=1, max_size=2))
    return policy


data_addresses = st.builds(
    m.DataAddress,
    endpoint_type=st.sampled_from(["https://w3id.org/idsa/v4.1/HTTP", "HttpData"]),
    endpoint=st.none() | addresses,
    endpoint_properties=st.lists(st.builds(m.EndpointProperty, name=texts, value=texts), max_size=3).map(tuple),
)
_reasons = st.lists(texts, max_size=2, unique=True).map(tuple)
_outcome = {"code": st.none() | texts, "reason": _reasons}
_pids = {"provider_pid": ids, "consumer_pid": ids}
_id = {"id": st.none() | ids}
_purpose = {"purpose": st.none() | texts.filter(bool)}
_states = {
    m.ContractNegotiation: st.sampled_from([state for state in NEGOTIATION if state]),
    m.TransferProcess: st.sampled_from([state for state in TRANSFER if state]),
}

MESSAGES: dict[type[Any], st.SearchStrategy[Any]] = {
    m.CatalogRequestMessage: st.builds(m.CatalogRequestMessage, **_id),
    m.DatasetRequestMessage: st.builds(m.DatasetRequestMessage, dataset=ids, **_id),
    m.CatalogError: st.builds(m.CatalogError, **_id, **_outcome),
    m.ContractRequestMessage: st.builds(
        m.ContractRequestMessage, consumer_pid=ids, callback_address=addresses, offer=policies("Offer"), **_id, **_purpose
    )
    | st.builds(m.ContractRequestMessage, consumer_pid=ids, provider_pid=ids, offer=policies("Offer"), **_id),
    m.ContractOfferMessage: st.builds(
        m.ContractOfferMessage, provider_pid=ids, callback_address=addresses, offer=policies("Offer"), **_id
    )
    | st.builds(m.ContractOfferMessage, **_pids, offer=policies("Offer"), **_id),
    m.ContractAgreementMessage: st.builds(m.ContractAgreementMessage, **_pids, agreement=policies("Agreement"), **_id),
    m.ContractAgreementVerificationMessage: st.builds(m.ContractAgreementVerificationMessage, **_pids, **_id),
    m.ContractNegotiationEventMessage: st.builds(
        m.ContractNegotiationEventMessage, **_pids, **_id, event_type=st.sampled_from(["ACCEPTED", "FINALIZED"])
    ),
    m.ContractNegotiationTerminationMessage: st.builds(m.ContractNegotiationTerminationMessage, **_pids, **_id, **_outcome),
    m.ContractNegotiation: st.builds(m.ContractNegotiation, **_pids, **_id, state=_states[m.ContractNegotiation]),
    m.ContractNegotiationError: st.builds(m.ContractNegotiationError, **_pids, **_id, **_outcome),
    m.TransferRequestMessage: st.builds(
        m.TransferRequestMessage,
        consumer_pid=ids,
        agreement_id=ids,
        format=st.sampled_from(["HttpData-PULL", "HttpData-PUSH"]),
        callback_address=addresses,
        data_address=st.none() | data_addresses,
        **_id,
        **_purpose,
    ),
    m.TransferStartMessage: st.builds(m.TransferStartMessage, **_pids, **_id, data_address=st.none() | data_addresses),
    m.TransferSuspensionMessage: st.builds(m.TransferSuspensionMessage, **_pids, **_id, **_outcome),
    m.TransferCompletionMessage: st.builds(m.TransferCompletionMessage, **_pids, **_id),
    m.TransferTerminationMessage: st.builds(m.TransferTerminationMessage, **_pids, **_id, **_outcome),
    m.TransferProcess: st.builds(m.TransferProcess, **_pids, **_id, state=_states[m.TransferProcess]),
    m.TransferError: st.builds(m.TransferError, **_pids, **_id, **_outcome),
}
messages = st.one_of(*MESSAGES.values())
