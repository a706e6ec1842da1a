"""The addresses of an authority on the public listener: its document, applications, issuer, status lists, signed lists.

What lives here: the routes, their bodies and headers. What does not: anything they decide (`identity/authority/`).
Source: did:web, section 3.2; DCP 1.0, sections 6.4, 6.7, 6.8; Bitstring Status List 1.0, section 3.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.errors import MethodNotAllowed, NotFound
from connector.identity.authority import applications
from connector.identity.authority.members import Member
from connector.identity.authority.office import Office
from connector.identity.authority.statuslists import Served
from connector.identity.trustlists import Listing
from connector.web import edge, errors

_MOST_BODY_BYTES: Final = 64 << 10
_TOKENS: Final = ("application/jwt", "application/vc+jwt", "application/vc+ld+jwt", "application/statuslist+jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent."""

    body: bytes
    status: int = 200
    content_type: bytes = edge.JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


_Serve = Callable[[Office, Scope, bytes], Awaitable[Answer]]


class _Door:
    """One address: what it does by method."""

    def __init__(self, office: Office, **methods: _Serve) -> None:
        self._office = office
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        try:
            serve = self._methods.get(method)
            if serve is None:
                raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=tuple(self._methods))
            body = await edge.read_body(scope, receive, _MOST_BODY_BYTES) if method == "POST" else b""
            answer = await serve(self._office, scope, body)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of these addresses: whatever it is becomes an answer
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            await errors.send_problem(send, verdict)
            return
        await edge.reply(send, answer.status, answer.body, answer.headers, answer.content_type)


def routes(office: Office, schemas: Mapping[str, bytes], *, is_plain: bool) -> list[BaseRoute]:
    """The routes; `schemas` by type, `is_plain` gives status lists without a signature to whoever asks for no token."""

    async def status_list(office: Office, scope: Scope, body: bytes) -> Answer:
        accepted = (edge.header(scope, b"accept") or "").lower()
        wants_token = any(one in accepted for one in _TOKENS)
        wants_json = "application/json" in accepted or "application/vc+json" in accepted
        plain = not wants_token and (wants_json or is_plain)
        return _given(scope, await office.status_lists.served(scope["path_params"]["name"], is_plain=plain), varies=True)

    async def schema(office: Office, scope: Scope, body: bytes) -> Answer:
        found = schemas.get(scope["path_params"]["type"])
        if found is None:
            raise NotFound("there is no such schema")
        return Answer(body=found, content_type=b"application/schema+json")

    base = "/authority"
    return [
        Route(base, _Door(office, GET=_about)),
        Route(f"{base}/did.json", _Door(office, GET=_document)),
        Route(f"{base}/applications", _Door(office, GET=_standing, POST=_apply)),
        Route(f"{base}/applications/leave", _Door(office, POST=_leave)),
        Route(f"{base}/applications/follow", _Door(office, POST=_follow)),
        Route(f"{base}/applications/{{id}}", _Door(office, POST=_prove)),
        Route(f"{base}/participants", _Door(office, GET=_participants)),
        Route(f"{base}/issuers", _Door(office, GET=_issuers)),
        Route(f"{base}/status/{{name}}", _Door(office, GET=status_list)),
        Route(f"{base}/schemas/{{type}}", _Door(office, GET=schema)),
        Route(f"{base}/issuer/metadata", _Door(office, GET=_metadata)),
        Route(f"{base}/issuer/credentials", _Door(office, POST=_request)),
        Route(f"{base}/issuer/requests/{{id}}", _Door(office, GET=_status)),
    ]


async def _about(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(office.space.about())


async def _document(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(await office.document())


async def _apply(office: Office, scope: Scope, body: bytes) -> Answer:
    member = await office.registry.apply(applications.read(body))
    address = f"{office.space.address}/applications/{member.application}"
    tree = {**_shown(member), "nonce": member.nonce, "proof": address, "until": member.nonce_until.isoformat()}
    return _json(tree, 201, ((b"location", address.encode()),))


async def _prove(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(_shown(await office.registry.prove(scope["path_params"]["id"], edge.header(scope, b"authorization"))))


async def _standing(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(_shown(await office.registry.standing(edge.header(scope, b"authorization"))))


async def _leave(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(_shown(await office.registry.leave(edge.header(scope, b"authorization"))))


async def _follow(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(_shown(await office.registry.follow(edge.header(scope, b"authorization"))))


async def _participants(office: Office, scope: Scope, body: bytes) -> Answer:
    return _given(scope, await office.lists.served(Listing.PARTICIPANTS))


async def _issuers(office: Office, scope: Scope, body: bytes) -> Answer:
    return _given(scope, await office.lists.served(Listing.ISSUERS))


async def _metadata(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(office.issuer.metadata())


async def _request(office: Office, scope: Scope, body: bytes) -> Answer:
    address = await office.issuer.request(edge.header(scope, b"authorization"), body)
    return Answer(body=b"", status=201, headers=((b"location", address.encode()),))


async def _status(office: Office, scope: Scope, body: bytes) -> Answer:
    return _json(await office.issuer.status(edge.header(scope, b"authorization"), scope["path_params"]["id"]))


def _shown(member: Member) -> dict[str, Any]:
    """What a member is told of itself; who decided, and why, stays with the authority."""
    return {"id": member.did, "application": member.application, "state": member.state.value}


def _given(scope: Scope, served: Served, *, varies: bool = False) -> Answer:
    tag = served.etag.encode()
    headers = [(b"etag", tag), (b"cache-control", b"max-age=%d, must-revalidate" % served.max_age_s)]
    if varies:
        headers.append((b"vary", b"accept"))
    known = {one.strip().removeprefix("W/") for one in (edge.header(scope, b"if-none-match") or "").split(",")}
    if served.etag in known or "*" in known:
        return Answer(body=b"", status=304, headers=tuple(headers))
    return Answer(body=served.body, content_type=served.content_type, headers=tuple(headers))


def _json(tree: Mapping[str, Any], status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return Answer(body=orjson.dumps(dict(tree)), status=status, headers=headers)
