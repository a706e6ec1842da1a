"""Every error becomes a response: right status, the protocol's own body, nothing of ours in it that is not the peer's business."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from connector import errors as errors_of_ours
from connector.dsp import wire
from connector.errors import (
    AddressRefused,
    BadMessage,
    CallerError,
    ConfigurationError,
    Forbidden,
    KontorError,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    Overloaded,
    PeerAnswer,
    SourceError,
    StoreUnavailable,
    Unauthenticated,
    Unreachable,
    UnsupportedMediaType,
)
from connector.web.errors import Family, judge, problem_body, protocol_body

SECRET = "/srv/private/kontor.db"
EVERY = [kind for _, kind in inspect.getmembers(errors_of_ours, inspect.isclass) if issubclass(kind, KontorError)]


def made(kind: type[KontorError]) -> KontorError:
    more: dict[str, Any] = {MethodNotAllowed: {"allowed": ("GET",)}, PeerAnswer: {"answer_status": 500}}.get(kind, {})
    return kind("what happened", where=SECRET, mend="do this", **more)


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_has_a_body_of_the_right_type_for_peers(kind: type[KontorError], family: Family) -> None:
    verdict = judge(made(kind))
    body = protocol_body(verdict, family, provider_pid="urn:p", consumer_pid=None)
    read = wire.decode(body, family.value).message
    assert read.code == verdict.code
    assert len(read.reason) == 1
    if family is not Family.CATALOG:
        assert (read.provider_pid, read.consumer_pid) == ("urn:p", wire.NIL)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_faults_that_are_not_the_callers_are_an_id_and_nothing_else(kind: type[KontorError]) -> None:
    verdict = judge(made(kind))
    if issubclass(kind, CallerError) or kind is AddressRefused:
        assert 400 <= verdict.status < 500 or kind in (Overloaded, NotSupported)
        return
    assert verdict.status >= 500
    assert SECRET not in verdict.text
    assert "what happened" not in verdict.text
    assert verdict.error_id in verdict.text


def test_a_bug_is_an_id_and_nothing_else_and_the_log_has_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    for is_operator in (False, True):
        verdict = judge(ZeroDivisionError(SECRET), is_operator=is_operator)
        assert (verdict.status, verdict.code) == (500, "internal")
        assert SECRET not in verdict.text
        record = caplog.records[-1]
        assert record.__dict__["fields"]["error_id"] == verdict.error_id
        assert SECRET in str(record.exc_info)


def test_peers_learn_nothing_of_what_they_may_not_know() -> None:
    verdict = judge(Forbidden("the agreement of `urn:secret` is over"))
    assert (verdict.status, verdict.code) == (404, NotFound.code)
    assert "urn:secret" not in verdict.text
    verdict = judge(AddressRefused("it is on a private network", where="http://10.0.0.1"))
    assert (verdict.status, verdict.code) == (400, BadMessage.code)


@pytest.mark.parametrize(
    "fault",
    [
        ConfigurationError("no token"),
        Unreachable("no answer"),
        SourceError("no file"),
        StoreUnavailable("disk full"),
        Forbidden("no"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_operators_are_told_everything(fault: KontorError) -> None:
    verdict = judge(fault, is_operator=True)
    assert (verdict.status, verdict.code, verdict.what) == (fault.status, fault.code, fault.what)


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        (Unauthenticated("no valid token"), b"www-authenticate", b"Bearer"),
        (MethodNotAllowed("no", allowed=("GET", "POST")), b"allow", b"GET, POST"),
        (Overloaded("full"), b"retry-after", b"2"),
        (StoreUnavailable("disk full"), b"retry-after", b"5"),
    ],
)
def test_some_statuses_bring_a_header(fault: KontorError, name: bytes, value: bytes) -> None:
    for is_operator in (False, True):
        assert dict(judge(fault, is_operator=is_operator).headers)[name] == value


def test_words_about_bytes_that_are_no_text_are_an_answer_like_others() -> None:
    said = b"text/html; charset=\xff".decode("utf-8", "surrogateescape")
    verdict = judge(UnsupportedMediaType(f"the content type is `{said}`", where=said, mend=said))
    for body in (problem_body(verdict), protocol_body(verdict, Family.TRANSFER, provider_pid=None, consumer_pid=None)):
        assert "udcff" in str(json.loads(body))


def test_a_problem_has_the_members_of_the_standard_and_ours() -> None:
    verdict = judge(BadMessage("`id` is missing", where="id", mend="send it"), is_operator=True)
    assert json.loads(problem_body(verdict)) == {
        "type": "urn:kontor:error:bad-message",
        "title": "Bad Request",
        "status": 400,
        "detail": "`id` is missing",
        "where": "id",
        "mend": "send it",
        "error_id": verdict.error_id,
    }
