"""What is said to a data plane about a flow, in its dialect: the path, the body, and how its answer is read.

What lives here: the two dialects side by side, as a control plane speaks them. What does not: HTTP (`planes.py`).
The older dialect has no word for some calls: nothing is sent then, and the flow is where the call would have led it. It resumes by the
same start again, completes a provider's flow by terminating it, and tells the consumer's plane of nothing but what that has prepared.
Source: Data Plane Signaling v1.0-RC3, "Data Plane Endpoint"; facts 3 and 4 for the older dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connector.dps import legacy, standard
from connector.dps.addresses import from_properties
from connector.dps.flow import Call, FlowState
from connector.dps.messages import Dialect, Note, Status
from connector.dsp.messages import DataAddress
from connector.dsp.process import below
from connector.dsp.values import replace
from connector.errors import SourceError
from connector.ports.dataplane import Source
from connector.ports.signaling import ANY_SOURCE, Telling
from connector.signaling.entries import Entry

Reader = Callable[[bytes], Status]
_SOURCE_TYPES: Final = {"http": "HttpData", "s3": "AmazonS3"}
_LEADS_TO: Final = {
    Call.PREPARE: FlowState.PREPARED,
    Call.STARTED: FlowState.STARTED,
    Call.RESUME: FlowState.STARTED,
    Call.SUSPEND: FlowState.SUSPENDED,
    Call.COMPLETED: FlowState.COMPLETED,
    Call.TERMINATE: FlowState.TERMINATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One request."""

    path: str
    """Below `/dataflows`."""
    body: bytes | None
    """None: there is nothing to say in this dialect, and the answer is read from nothing."""
    read: Reader


def serves(entry: Entry, source_type: str) -> bool:
    """Whether a plane can serve sources of this type: it is told of them, or knows them by itself."""
    if entry.dialect is Dialect.DPS:
        return source_type == ANY_SOURCE
    return _SOURCE_TYPES.get(source_type) in entry.source_types


def said(entry: Entry, telling: Telling, callback: str) -> Said:
    """What `telling` is in the dialect of `entry`; `callback` is where it reports.

    Raises: SourceError when the dialect has no words for the source.
    """
    telling = replace(telling, order=replace(telling.order, callback=callback))
    return _legacy(entry, telling) if entry.dialect is Dialect.EDC else _standard(telling)


def asked(entry: Entry, flow_id: str) -> Said:
    """The question how a flow stands."""
    is_legacy = entry.dialect is Dialect.EDC
    read = legacy.read_state if is_legacy else standard.read_status
    return Said(path=below("", flow_id, "state" if is_legacy else "status"), body=None, read=read)


def _standard(telling: Telling) -> Said:
    order, note = telling.order, telling.note
    if note is None:
        return Said(path=f"/{order.call}", body=standard.write_order(order), read=standard.read_status)
    to = Status(state=_LEADS_TO[note.call])

    def read(body: bytes) -> Status:
        # only the answer to a resume has to say something
        return standard.read_status(body) if body.strip() and note.call is Call.RESUME else to

    return Said(path=below("", order.flow_id, note.call), body=standard.write_note(note), read=read)


def _legacy(entry: Entry, telling: Telling) -> Said:
    order, note = telling.order, telling.note
    call = note.call if note is not None else order.call
    is_prepared = order.profile.rpartition("-")[0] in entry.provision_types

    def nothing(_: bytes) -> Status:
        return Status(state=_LEADS_TO[call])

    if call in (Call.START, Call.RESUME) and telling.is_provider:
        started = replace(order, call=Call.START, source=_address(telling.source))
        return Said(path="/start", body=legacy.write_order(started), read=lambda body: legacy.read_response(body, Call.START))
    if call is Call.PREPARE and is_prepared:
        # the party named is the consumer, and that is us
        prepared = replace(order, counter_party_id=order.participant_id)
        return Said(
            path="/prepare", body=legacy.write_order(prepared), read=lambda body: legacy.read_response(body, Call.PREPARE)
        )
    if call is Call.SUSPEND and telling.is_provider:
        return Said(path=below("", order.flow_id, "suspend"), body=legacy.write_note(_note(note, Call.SUSPEND)), read=nothing)
    if call in (Call.TERMINATE, Call.COMPLETED) and (telling.is_provider or is_prepared):
        return Said(
            path=below("", order.flow_id, "terminate"), body=legacy.write_note(_note(note, Call.TERMINATE)), read=nothing
        )
    return Said(path="", body=None, read=nothing)


def _note(note: Note | None, call: Call) -> Note:
    return Note(call=call, reason=note.reason if note is not None else None)


def _address(source: Source | None) -> DataAddress:
    """Where the data lies, in EDC's words: with everything that opens it, which this dialect has no other way to say.

    Raises: SourceError.
    """
    if (
        source is not None
        and source.type == "http"
        and source.url is not None
        and source.client is None
        and not source.certificate
    ):
        properties = {f"{legacy.EDC}baseUrl": source.url}
        for name, value in list((source.headers or {}).items())[:1]:
            properties |= {f"{legacy.EDC}authKey": name, f"{legacy.EDC}authCode": value}
        if source.passing.path:
            properties[f"{legacy.EDC}proxyPath"] = "true"
        if source.passing.query:
            properties[f"{legacy.EDC}proxyQueryParams"] = "true"
        return from_properties("HttpData", None, properties)
    place = source.objects if source is not None else None
    if place is not None and not place.is_prefix:
        named = {
            "region": place.region,
            "bucketName": place.bucket,
            "objectName": place.key,
            "endpointOverride": place.endpoint,
            "accessKeyId": place.access_key,
            "secretAccessKey": place.secret_key,
        }
        return from_properties("AmazonS3", None, {f"{legacy.EDC}{name}": value for name, value in named.items() if value})
    raise SourceError(
        "the older signaling has no words for this source",
        mend="use a data plane of the standard, or an http or s3 object source",
    )
