"""What participants of this node say of themselves: kept as their operators wrote it, published with the service that the node is.

What lives here: writing a description after its check, and `Published`, what a catalogue and the public address carry of it. What does
not: the words of a description (`describe/participant.py`), and the signature, which a wallet makes (`ports/attesting.py`).

Where the participant has a wallet here, the description goes out as a credential of its own, so that it can be passed on and still be
proven; and those credentials of others go with it that the operator has named, and no other. The signed form is kept in the store:
replicas say the same, and what has not changed has the same entity tag.
Source: Verifiable Credentials Data Model 2.0, sections 4 and 4.13 (enveloped credentials); Securing VCs using JOSE and COSE.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from connector import __version__
from connector.controlplane.participants import Context, Participants, Revisions
from connector.errors import BadMessage, Conflict, NotFound
from connector.odrl.vocabulary import Vocabulary
from connector.ports.attesting import Attester
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, EventPlace, ObjectPlace, Source
from connector.ports.store import Document, Store

KIND: Final = "self-description"
_TEXT, _SIGNED = "text", "signed"
"""Ids of the two documents: as the operator wrote it, and as it was signed."""
_LIFE: Final = timedelta(days=90)
_SIGN_AGAIN: Final = timedelta(days=30)
"""Before the end of a signed one."""
_MOST_BYTES: Final = 64 << 10
_DSP: Final = "https://w3id.org/dspace/2025/1/"
_DCP: Final = "https://w3id.org/dspace-dcp/v1.0/"
_CAPABILITIES: Final = ("counter-offer", "evidence", "manual-approval", "usage-control")
_SOURCES: Final = (
    Source(type="file"),
    Source(type="http"),
    Source(type="s3", objects=ObjectPlace(bucket="b", key="k")),
    Source(type="nats", events=EventPlace(url="nats://localhost", stream="s")),
)
"""One of each kind, to ask the data plane how it would serve it."""
_CREDENTIAL_TYPE: Final = "SelfDescriptionCredential"
_ENVELOPE: Final = "https://www.w3.org/2018/credentials#EnvelopedVerifiableCredential"
_DATA: Final = "data:application/vc+jwt,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a participant says of itself."""

    tree: Mapping[str, Any]
    credential: str | None
    """The same, signed by the participant; None for one without a wallet here."""
    attestations: tuple[str, ...]
    """What others attest of it, and everybody may see."""
    members: Mapping[str, Any]
    """What its catalogue carries."""
    digest: str
    """Changes with any of it."""


class Describing:
    """The self-descriptions of all contexts."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        revisions: Revisions,
        attester: Attester,
        data_plane: DataPlane,
        vocabulary: Vocabulary,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._attester = attester
        self._data_plane = data_plane
        self._vocabulary = vocabulary
        self._clock = clock
        self._kept: dict[str, tuple[tuple[int, Context], datetime, Published | None]] = {}

    async def put(self, name: str, tree: Mapping[str, Any], attestations: Sequence[str]) -> Published:
        """What is published from now on.

        Raises: NotFound for an unknown participant; BadMessage for a description that breaks a rule or is another's; Conflict for an
        attestation that the wallet does not hold.
        """
        from connector.describe import check, participant, plain

        context = await self._participants.context(name)
        if tree.get("@id") != context.id:
            mend = f"write `participant: {context.id}`"
            raise BadMessage(f"the description is of `{str(tree.get('@id'))[:200]}`", where="participant", mend=mend)
        if len(orjson.dumps(dict(tree))) > _MOST_BYTES:
            raise BadMessage("the description is too long", where="description", mend=f"say it in {_MOST_BYTES} bytes")
        described = plain.Description(dict(tree), participant.ORGANISATION)
        fault = next((one for one in check.faults(described, participant.PROFILE) if one.is_error), None)
        if fault is not None:
            raise BadMessage(fault.message, where=fault.word, mend=fault.mend)
        held = {type_ for types, _ in await self._attester.held(name) for type_ in types} if attestations else set()
        for type_ in attestations:
            if type_ not in held:
                known = ", ".join(sorted(held)) or "none"
                raise Conflict(f"the wallet holds no `{type_}`", where="attestations", mend=f"it holds: {known}")
        await self._write(name, _TEXT, {"tree": dict(tree), "attestations": list(attestations)})
        found = await self.published(name)
        assert found is not None, "it has just been written"
        return found

    async def drop(self, name: str) -> None:
        """Say nothing of oneself any more.

        Raises: NotFound.
        """
        await self._participants.context(name)
        found = await self._store.delete_document(name, KIND, _TEXT)
        await self._store.delete_document(name, KIND, _SIGNED)
        self._revisions.forget(name)
        if not found:
            raise NotFound("nothing is published", where=name, mend="see `kontor describe participant`")

    async def published(self, name: str) -> Published | None:
        """What a participant says of itself; None when it says nothing.

        Raises: NotFound for an unknown participant, ConfigurationError when its keys do not open.
        """
        context = await self._participants.context(name)
        now, key = self._clock.now(), (await self._revisions.of(name), context)
        kept = self._kept.get(name)
        if kept is not None and kept[0] == key and now < kept[1]:
            return kept[2]
        found, until = await self._made(context, now)
        # what was signed just now has itself changed the revision
        self._kept[name] = ((await self._revisions.of(name), context), until, found)
        return found

    async def _made(self, context: Context, now: datetime) -> tuple[Published | None, datetime]:
        written = await self._store.document(context.name, KIND, _TEXT)
        if written is None:
            return None, now + _LIFE
        # what describes is loaded where somebody describes itself
        from connector.describe import participant

        tree = {**written.body["tree"], participant.SERVICE: [self._service(context)]}
        credential, until = await self._signed(context, tree, now)
        wanted = set(written.body["attestations"])
        held = await self._attester.held(context.name) if wanted else ()
        attestations = tuple(raw for types, raw in held if wanted & set(types))
        members: dict[str, Any] = {participant.PROPERTY: _enveloped(credential) if credential else tree}
        if attestations:
            members[participant.ATTESTATION] = [_enveloped(raw) for raw in attestations]
        published = Published(
            tree=tree,
            credential=credential,
            attestations=attestations,
            members=members,
            digest=hashlib.sha256(orjson.dumps(members)).hexdigest(),
        )
        return published, until

    def _service(self, context: Context) -> dict[str, Any]:
        from connector.describe import participant

        formats = {one for source in _SOURCES for one in self._data_plane.formats(source)}
        it = participant.Service(
            address=context.address,
            title=context.title,
            conforms_to=(_DSP, _DCP) if context.membership is not None else (_DSP,),
            formats=tuple(sorted(formats)),
            profiles=tuple(sorted(one for one in self._vocabulary.profiles if one.startswith("http"))),
            capabilities=_CAPABILITIES,
            software=f"kontor {__version__}",
        )
        return participant.service(it)

    async def _signed(self, context: Context, tree: Mapping[str, Any], now: datetime) -> tuple[str | None, datetime]:
        """The description as a credential, and until when it is shown."""
        digest = hashlib.sha256(orjson.dumps(tree)).hexdigest()
        kept = await self._store.document(context.name, KIND, _SIGNED)
        if kept is not None and kept.body["digest"] == digest:
            until = datetime.fromisoformat(kept.body["until"])
            if now < until - _SIGN_AGAIN:
                return str(kept.body["raw"]), until - _SIGN_AGAIN
        claims = {name: value for name, value in tree.items() if name not in ("@id", "@type")}
        raw = await self._attester.attest(context.name, _CREDENTIAL_TYPE, {"type": tree["@type"], **claims}, now + _LIFE)
        if raw is None:
            return None, now + _SIGN_AGAIN
        try:
            body = {"raw": raw, "digest": digest, "until": (now + _LIFE).isoformat()}
            await self._write(context.name, _SIGNED, body, kept.version if kept is not None else 0)
        except Conflict:
            # another replica has signed the same at the same time: its form counts
            kept = await self._store.document(context.name, KIND, _SIGNED)
            raw = str(kept.body["raw"]) if kept is not None else raw
        return raw, now + _LIFE - _SIGN_AGAIN

    async def _write(self, name: str, id_: str, body: Mapping[str, Any], expect: int | None = None) -> None:
        now = self._clock.now()
        document = Document(participant=name, kind=KIND, id=id_, body=body, created_at=now, updated_at=now)
        await self._store.put_document(document, expect=expect)
        self._revisions.forget(name)


def _enveloped(raw: str) -> dict[str, Any]:
    return {"@id": _DATA + raw, "@type": _ENVELOPE}
