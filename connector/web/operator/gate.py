"""The door of the operator API: who asks, whether its role covers that, bounds of bodies, strict JSON. All before a route sees it.

What lives here: `Gate`, plain ASGI around `/api/v1`, and `check`. What does not: who has which role (`controlplane/operators.py`), and
routes that need more than their method says (`keys.py`).
Source: RFC 6750, 2.1 for `Authorization: Bearer`; `X-Api-Key` is customary.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector import observe
from connector.controlplane.audit import Act, Audit, Result
from connector.controlplane.operators import Operators
from connector.errors import CallerError, Forbidden, StoreUnavailable, TooMany, UnsupportedMediaType
from connector.ports.operators import ALL, Operator, OperatorRole
from connector.settings import Operator as OperatorListener
from connector.strict import Limits, scan
from connector.web import edge, errors
from connector.web.operator.recording import Recording

PREFIX: Final = "/api/v1"
OPENAPI: Final = f"{PREFIX}/openapi.json"
STATE: Final = "kontor.operator"
"""Where in a request's state the gate leaves the operator."""
STILL: Final = "kontor.still"
"""Where it leaves what asks again whether what was shown still lets its holder in here; it raises CallerError when not."""
_READING: Final = frozenset({"GET", "HEAD"})
_FOR_ANYBODY: Final = (f"{PREFIX}/participants", f"{PREFIX}/keys")
"""Addresses of the node that show each operator its own part; all others of the node are for those who are let in everywhere."""


def check(operator: Operator, role: OperatorRole, participant: str | None) -> None:
    """Returns when `operator` may act as `role` in `participant` (`*`: the node), for None anywhere.

    Raises: Forbidden.
    """
    if operator.has(role) if participant is None else operator.may(role, participant):
        return
    if participant is None or (participant != ALL and operator.opens(participant)):
        what = f"`{operator.name}` has not the role `{role}`"
        raise Forbidden(what, where="role", mend=f"use a key with the role `{role}`; `kontor keys` shows the roles")
    where = "the node" if participant == ALL else f"participant `{participant}`"
    raise Forbidden(
        f"`{operator.name}` is not let in as `{role}` for {where}",
        where="participant",
        mend="use a key that is good for it; `kontor keys create` makes one",
    )


class Gate:
    """Lets in who is an operator with the role that the method needs; open for the API's description."""

    def __init__(self, app: ASGIApp, settings: OperatorListener, operators: Operators, audit: Audit) -> None:
        self._app = app
        self._limits = Limits(max_bytes=settings.max_body_bytes)
        self._operators = operators
        self._audit = audit
        self._most = settings.requests_at_once_per_key
        self._busy: Counter[str] = Counter()
        """Requests of each operator that are being answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or scope["path"] == OPENAPI:
            await self._app(scope, receive, send)
            return
        try:
            operator = await self._operators.find(_shown(scope))
            edge.note(scope, key=operator.name)
            if self._busy[operator.name] >= self._most:
                observe.count("requests_refused", code=TooMany.code)
                mend = f"send at most {self._most} at once"
                raise TooMany("too many requests of yours are being answered", mend=mend, retry_after_s=1)
        except CallerError as fault:
            await _refuse(scope, send, fault)
            return
        self._busy[operator.name] += 1
        turn = edge.Turn(partial(self._free, operator.name), receive, send)
        try:
            await self._let_in(operator, scope, receive, turn.answered)
        finally:
            turn.let_go()

    def _free(self, name: str) -> None:
        self._busy[name] -= 1
        if not self._busy[name]:
            del self._busy[name]

    async def _still(self, shown: str, role: OperatorRole, place: str | None) -> None:
        """Returns while `shown` lets its holder in. Raises: CallerError."""
        check(await self._operators.find(shown), role, place)

    async def _let_in(self, operator: Operator, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            participant = named(scope["path"])
            is_removed = scope["method"] == "DELETE" and scope["path"] == f"{PREFIX}/participants/{participant}"
            # of a context that is gone nobody reads the trail: the node's has it
            act = _act(scope, operator, None if is_removed else participant)
            is_reading = scope["method"] in _READING
            role, place = OperatorRole.READ if is_reading else OperatorRole.OPERATE, _place(scope["path"])
            try:
                check(operator, role, place)
            except Forbidden as fault:
                await self._audit.refused(act, await _refuse(scope, send, fault))
                return
            body = await self._body(scope, receive)
        except CallerError as fault:
            await _refuse(scope, send, fault)
            return
        scope.setdefault("state", {})[STATE] = operator
        scope["state"][STILL] = partial(self._still, _shown(scope), role, place)
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        with observe.bound(operator=operator.name, participant=participant):
            if is_reading:
                await self._app(scope, replay, send)
                return
            try:
                await Recording(self._app, self._audit, act)(scope, replay, send)
            except StoreUnavailable as fault:
                # INVARIANT: nothing is done that the trail does not know
                await _refuse(scope, send, fault)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body, which is strict JSON or empty."""
        if scope["method"] in ("GET", "HEAD", "DELETE"):
            return b""
        body = await edge.read_body(scope, receive, self._limits.max_bytes)
        if not body:
            return body
        sent = (edge.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if sent != "application/json":
            raise UnsupportedMediaType(
                f"the content type is `{sent}`" if sent else "the body has no content type",
                where="Content-Type",
                mend="send `application/json`",
            )
        scan(body, self._limits)
        return body


def named(path: str) -> str | None:
    """The participant that an address is about; None for addresses of the node."""
    found = path.removeprefix(f"{PREFIX}/participants/")
    return found.partition("/")[0] if found != path else None


def _place(path: str) -> str | None:
    """What an address is about: a participant, the node (`*`), or what everybody has a part of (None)."""
    found = named(path)
    if found is not None:
        return found
    is_shared = any(path == one or path.startswith(f"{one}/") for one in _FOR_ANYBODY)
    return None if is_shared else ALL


def _shown(scope: Scope) -> str:
    """The key or token that a request shows; empty when there is none."""
    shown = edge.header(scope, b"x-api-key")
    if shown is not None:
        return shown
    scheme, _, rest = (edge.header(scope, b"authorization") or "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _act(scope: Scope, operator: Operator, participant: str | None) -> Act:
    client = scope.get("client")
    return Act(
        id=observe.new_id(),
        who=operator.name,
        what=f"{scope['method']} {scope['path']}",
        participant=participant,
        source=client[0] if client else "",
    )


async def _refuse(scope: Scope, send: Send, fault: Exception) -> Result:
    verdict = errors.judge(fault, is_operator=True)
    edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
    await errors.send_problem(send, verdict)
    return Result(status=verdict.status, error_id=verdict.error_id, cause=verdict.text)
