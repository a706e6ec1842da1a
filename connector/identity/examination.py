"""A participant as others see it: its DID document and keys, its endpoints, its version document, its clock, its certificate.

What lives here: `examine`, for ourselves and for peers alike: everything is asked for through the way out, as a stranger would.
What does not: what only we can see of ourselves (`controlplane/doctor.py`).
Source: did:web; DCP 1.0, section 4.3; Dataspace Protocol 2025-1, "Exposure of Versions"; RFC 9110, section 6.6.1 (`Date`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from connector.api.doctor import Finding
from connector.dsp import version
from connector.errors import KontorError, PeerAnswer, Unproven
from connector.identity import did as dids
from connector.identity.did import Document, Relationship
from connector.outbound import certificates
from connector.outbound.client import Answer, OutboundClient
from connector.ports.clock import Clock

_SKEW: Final = timedelta(seconds=2)
"""`Date` has whole seconds, and the answer takes a moment."""
_LEEWAY: Final = timedelta(seconds=5)
"""What tokens are forgiven."""
_SOON: Final = timedelta(days=14)
_JSON: Final = {"Accept": "application/json"}
_NOT_THERE: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 410})
"""What says that nothing of the kind is at an address; redirects are not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Looks at participants from outside."""

    outbound: OutboundClient
    clock: Clock
    unsafe_http: bool = False
    unsafe_local: bool = False

    async def examine(self, did: str | None, address: str | None) -> tuple[Finding, ...]:
        """What is found at `did`, at the protocol address `address`, or at both."""
        found: list[Finding] = []
        hosts: dict[str, str] = {}
        if did is not None and did.startswith("did:") and not did.startswith("did:web:"):
            found.append(_bad("did", "identifiers of this method are not resolved", did, "use a `did:web` identifier"))
        elif did is not None and did.startswith("did:web:"):
            document = await self._document(did, found, hosts)
            if document is not None:
                found += _judged(document)
                for service in document.services:
                    found.append(await self._endpoint(service.endpoint.rstrip("/"), service.types))
                if address is None:
                    address = next((one.endpoint for one in document.services if "DataService" in one.types), None)
        if address is not None:
            await self._protocol(address.rstrip("/"), found, hosts)
        for url in hosts.values():
            found += await self._certificate(url)
        return tuple(found)

    async def _document(self, did: str, found: list[Finding], hosts: dict[str, str]) -> Document | None:
        try:
            url = dids.url_of(did, unsafe_http=self.unsafe_http, unsafe_local=self.unsafe_local)
            answer = await self._get(url, found, hosts)
            if answer.status != 200:
                raise PeerAnswer(f"status {answer.status} instead of a document", answer_status=answer.status, where=url)
            document = dids.read(did, answer.body)
        except Unproven as fault:
            found.append(_bad("did", fault.words, did, "publish a lawful document under exactly this DID"))
            return None
        except KontorError as fault:
            mend = fault.mend or "serve it there: see `node.public_url`, the reverse proxy and the firewall"
            found.append(_bad("did", f"the DID document cannot be had: {fault.what}", fault.where or did, mend))
            return None
        found.append(_good("did", "the DID document is there and is its own", url))
        return document

    async def _endpoint(self, url: str, types: Collection[str]) -> Finding:
        """Whether a service is there: what it answers to a stranger does not matter, as long as it takes what others send it."""
        said, where = ", ".join(types), url
        try:
            if "CredentialService" in types:
                where = f"{url}/presentations/query"
                answer = await self.outbound.post(where, b"{}", {"Content-Type": "application/json"})
            else:
                where = f"{url}/metadata" if "IssuerService" in types else url
                answer = await self.outbound.get(where, _JSON)
        except KontorError as fault:
            mend = fault.mend or "serve it there, or take the service out of the document"
            return _bad("endpoint", f"the service `{said}` does not answer: {fault.what}", where, mend)
        if answer.status >= 500:
            return _bad("endpoint", f"the service `{said}` answers {answer.status}", where, "see the log of whoever serves it")
        if where != url and answer.status in _NOT_THERE:
            mend = "serve it there, or name its base address in the document"
            return _bad("endpoint", f"the service `{said}` is not there: {answer.status}", where, mend)
        return _good("endpoint", f"the service `{said}` answers", where)

    async def _protocol(self, address: str, found: list[Finding], hosts: dict[str, str]) -> None:
        """The version document that leads to the protocol's base, and the base: where callbacks arrive."""
        root = address.partition("/dsp/")[0].removesuffix("/.well-known/dspace-version")
        url = f"{root}/.well-known/dspace-version"
        mend = "serve the version document there: see `node.public_url` and the reverse proxy"
        try:
            answer = await self._get(url, found, hosts)
            if not answer.is_success:
                raise PeerAnswer(f"status {answer.status}", answer_status=answer.status, where=url)
            base = version.base_address(root, answer.body)
        except KontorError as fault:
            found.append(_bad("version", f"no version document that can be used: {fault.what}", url, fault.mend or mend))
            base = address
        else:
            found.append(_good("version", f"version {version.OURS} is spoken at {base}", url))
        try:
            answer = await self.outbound.post(f"{base}/catalog/request", b"{}", {"Content-Type": "application/json"})
        except KontorError as fault:
            found.append(_bad("callback", f"the protocol does not answer: {fault.what}", base, fault.mend or mend))
            return
        # whoever asks without a token is refused, or answered where the space lets everybody look
        if answer.status in (200, 400, 401, 403):
            found.append(_good("callback", "messages arrive at the protocol's address", base))
        else:
            words = f"the protocol's address answers {answer.status} to a message"
            found.append(_bad("callback", words, base, "see that nothing stands in front of it that takes no POST"))

    async def _get(self, url: str, found: list[Finding], hosts: dict[str, str]) -> Answer:
        """The answer, with its clock compared once for each host."""
        begun = self.clock.now()
        answer = await self.outbound.get(url, _JSON)
        host = self.outbound.vet(url).host
        if host not in hosts:
            hosts[host] = url
            found += _clock(answer, begun, self.clock.now(), url)
        return answer

    async def _certificate(self, url: str) -> list[Finding]:
        try:
            end = await certificates.ends(self.outbound, url)
        except KontorError as fault:
            return [_bad("certificate", fault.what, url, fault.mend or "see what answers there, and with which certificate")]
        if end is None:
            mend = "use https before peers elsewhere join"
            return [Finding(check="certificate", state="warning", what="it is plain http", where=url, mend=mend)]
        left = end - datetime.now(UTC)
        what = f"the certificate ends on {end:%Y-%m-%d}"
        if left < _SOON:
            return [Finding(check="certificate", state="warning", what=what, where=url, mend="renew it now")]
        return [_good("certificate", what, url)]


def _judged(document: Document) -> Iterator[Finding]:
    """What the document's keys are good for."""
    where = document.id
    broken = [method for method in document.methods.values() if method.key is None]
    for method in broken:
        yield Finding(
            check="keys", state="warning", what=f"the key cannot be used: {method.fault}", where=method.id, mend="replace it"
        )
    for use, words in ((Relationship.INVOCATION, "sign messages"), (Relationship.AUTHENTICATION, "show credentials")):
        named = document.relationships.get(use, frozenset()) if document.relationships else frozenset(document.methods)
        if not any(document.methods[one].key is not None for one in named if one in document.methods):
            yield _bad("keys", f"no key may {words} (`{use}`)", where, "publish one: `kontor identity rotate`")
        else:
            yield _good("keys", f"a key may {words}", where)
    for warning in document.warnings:
        yield Finding(
            check="keys", state="warning", what=warning, where=where, mend="declare `capabilityInvocation` and `authentication`"
        )
    types = {type_ for one in document.services for type_ in one.types}
    # an authority attests others and need not hold anything itself
    if not types & {"CredentialService", "IssuerService"}:
        mend = "add the service, or nobody can see its credentials"
        yield Finding(check="did", state="warning", what="the document names no `CredentialService`", where=where, mend=mend)


def _clock(answer: Answer, begun: datetime, ended: datetime, url: str) -> list[Finding]:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError, OverflowError):
        return []
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    skew = max(begun - theirs - timedelta(seconds=1), theirs - ended, timedelta(0))
    words = f"its clock and ours differ by {skew.total_seconds():.0f} s"
    mend = "set both clocks by NTP: tokens are forgiven 5 s"
    if skew > _LEEWAY:
        return [_bad("clock", words, url, mend)]
    return [
        Finding(
            check="clock", state="warning" if skew > _SKEW else "ok", what=words, where=url, mend=mend if skew > _SKEW else None
        )
    ]


def _good(check: str, what: str, where: str) -> Finding:
    return Finding(check=check, state="ok", what=what, where=where)


def _bad(check: str, what: str, where: str, mend: str) -> Finding:
    return Finding(check=check, state="error", what=what, where=where, mend=mend or None)
