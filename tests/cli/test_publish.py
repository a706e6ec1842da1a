"""Publishing what is not a plain file, terms that differ, and agreements that are good no more."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.api.agreements import ImportedAgreement
from connector.api.transfers import NewTransfer
from connector.cli.access import Access
from tests.cli.conftest import Run, Space
from tests.dataplane.buckets import Blobs, Bucket

RESEARCH = "policy: urn:p\npermit:\n  - action: use\n    when: purpose == research\n"
UPSTREAM = b"upstream " * 1000


@pytest.fixture
def upstream() -> Iterator[str]:
    """Address of a server that shows its data to whoever knows the word."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(UPSTREAM)

        def _answer(self, body: bytes) -> None:
            is_known = self.headers.get("Authorization") == "Bearer upstream-word"
            self.send_response(200 if is_known else 403)
            self.send_header("Content-Length", str(len(UPSTREAM) if is_known else 0))
            self.end_headers()
            if is_known:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/series.bin"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_upstream_is_opened_with_a_credential_that_nobody_sees(
    run: Run, space: Space, upstream: str, tmp_path: Path
) -> None:
    word = tmp_path / "word"
    word.write_text("Bearer upstream-word\n")
    words = ("publish", upstream, "--policy", "open", "--authorization-file", word, "--json", *space.provider.options)
    done = run(*words)
    assert done.code == 0, done.err
    assert "upstream-word" not in done.out + done.err
    assert "upstream-word" not in run("catalog", "--json", *space.provider.options).out
    got = run("get", space.peer[0], done.tree["dataset"], *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert got.code == 0, got.err
    assert (tmp_path / "copy").read_bytes() == UPSTREAM
    wrong = run("publish", tmp_path, "--policy", "open", "--authorization-file", word, *space.provider.options)
    assert wrong.code == 2


def test_an_upstream_with_a_login_is_published_and_what_may_pass_is_told(
    run: Run, space: Space, upstream: str, tmp_path: Path
) -> None:
    word = tmp_path / "token"
    word.write_text("upstream-word\n")
    words = ("publish", upstream, "--policy", "open", "--authorization-file", word, "--login", "bearer", "--id", "urn:x:login")
    done = run(*words, "--allow-query", "from", "--allow-path", "--allow-post", "--json", *space.provider.options)
    assert done.code == 0, done.err
    got = run("get", space.peer[0], "urn:x:login", *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert got.code == 0, got.err
    wrong = run(
        "publish", upstream, "--policy", "open", "--authorization-file", word, "--login", "oauth2", *space.provider.options
    )
    assert wrong.code == 2
    assert "needs `token_url`" in wrong.err


@pytest.mark.parametrize("server", ["s3", "azure"])
def test_an_object_is_published_with_keys_that_nobody_sees(
    run: Run, space: Space, server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(server)
    objects = Bucket(url) if server == "s3" else Blobs(url)
    asyncio.run(objects.put("series.bin", UPSTREAM))
    if isinstance(objects, Bucket):
        secret, text = objects.secret_key, f"{objects.access_key}:{objects.secret_key}\n"
        place = (f"s3://{objects.name}/{objects.root}series.bin", "--endpoint", objects.endpoint)
    else:
        secret, text = objects.key, f"{objects.key}\n"
        place = (f"azure://{objects.account}/{objects.name}/{objects.root}series.bin", "--endpoint", objects.account_url)
    keys = tmp_path / "keys"
    keys.write_text(text)
    done = run(
        "publish",
        *place,
        "--policy",
        "open",
        "--authorization-file",
        keys,
        "--id",
        f"urn:series:{server}",
        "--json",
        *space.provider.options,
    )
    assert done.code == 0, done.err
    assert done.tree["digest"] == hashlib.sha256(UPSTREAM).hexdigest()
    assert secret not in done.out + done.err + run("catalog", "--json", *space.provider.options).out
    target = tmp_path / "copy"
    got = run("get", space.peer[0], done.tree["dataset"], *space.peer[1:], *space.consumer.options, "-o", target)
    assert got.code == 0, got.err
    assert target.read_bytes() == UPSTREAM


def test_an_address_that_names_no_place_is_refused_before_anything_is_kept(run: Run, space: Space) -> None:
    for address, said in (
        ("nats://nats.example.org:4222", "needs `stream`"),
        ("azure://weather", "needs `bucket`"),
        ("gs://weather/../secret", "has an empty step"),
    ):
        refused = run("publish", address, "--policy", "open", *space.provider.options)
        assert (refused.code, said in " ".join(refused.err.split())) == (2, True), refused.err


def test_an_access_policy_hides_an_offer(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x")
    (tmp_path / "auditors.yaml").write_text("policy: urn:p\npermit:\n  - action: use\n    when: role == auditor\n")
    words = ("publish", tmp_path / "secret.csv", "--id", "urn:hidden", "--policy", "open")
    assert run(*words, "--access-policy", tmp_path / "auditors.yaml", *space.provider.options).code == 0
    assert "urn:hidden" in run("catalog", *space.provider.options).out
    assert "urn:hidden" not in run("catalog", *space.peer, *space.consumer.options).out


def test_other_terms_can_be_asked_for(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("x")
    (tmp_path / "narrow.yaml").write_text(RESEARCH)
    assert run("publish", tmp_path / "wide.csv", "--id", "urn:wide", "--policy", "open", *space.provider.options).code == 0
    words = (
        "negotiate",
        space.peer[0],
        "urn:wide",
        *space.peer[1:],
        "--terms",
        tmp_path / "narrow.yaml",
        "--purpose",
        "research",
    )
    done = run(*words, "--json", *space.consumer.options)
    assert done.code == 0, done.err
    shown = run("agreements", "--json", *space.consumer.options).tree["items"]
    (agreed,) = [one for one in shown if one["id"] == done.tree["agreement_id"]]
    assert agreed["policy"]["permission"][0]["constraint"]
    assert "use if purpose eq research" in run("agreements", *space.consumer.options).out


def test_get_takes_up_a_transfer_that_a_broken_try_has_left(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "left.csv").write_text("left")
    assert run("publish", tmp_path / "left.csv", "--id", "urn:left", "--policy", "open", *space.provider.options).code == 0
    agreed = run("negotiate", space.peer[0], "urn:left", *space.peer[1:], "--json", *space.consumer.options).tree
    with Access(config=space.consumer.config).open() as (node, me):
        left = node.send(me.begin_transfer(NewTransfer(agreement=agreed["agreement_id"], format="HttpData-PULL")))
        node.wait(me.transfer(left.pid), lambda one: one.state == "STARTED", within_s=10)
    got = run("get", space.peer[0], "urn:left", *space.peer[1:], "-o", tmp_path / "copy", "--json", *space.consumer.options)
    assert got.code == 0, got.err
    assert (got.tree["transfer"], got.tree["agreement"]) == (left.pid, agreed["agreement_id"])


def test_get_negotiates_anew_when_the_provider_knows_nothing_of_the_agreement(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "anew.csv").write_text("anew")
    assert run("publish", tmp_path / "anew.csv", "--id", "urn:anew", "--policy", "open", *space.provider.options).code == 0
    agreement = {
        "@id": "urn:only-here", "@type": "Agreement", "target": "urn:anew", "assigner": space.provider.id,
        "assignee": space.consumer.id, "timestamp": "2025-01-01T00:00:00Z", "permission": [{"action": "use"}],
    }  # fmt: skip
    with Access(config=space.consumer.config).open() as (node, me):
        imported = ImportedAgreement(role="consumer", peer=space.provider.id, address=space.peer[0], agreement=agreement)
        node.send(me.import_agreement(imported))
    got = run("get", space.peer[0], "urn:anew", *space.peer[1:], "-o", tmp_path / "copy", *space.consumer.options)
    assert got.code == 0, got.err
    assert "agreement urn:only-here gives nothing any more (" in got.err
    assert "negotiating a new one" in got.err
    assert (tmp_path / "copy").read_text() == "anew"


def test_a_folder_is_pushed_and_fetched_as_one(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "pushed" / "deep").mkdir(parents=True)
    (tmp_path / "pushed" / "deep" / "a").write_text("a")
    assert run("publish", tmp_path / "pushed", "--id", "urn:pushed", "--policy", "open", *space.provider.options).code == 0
    words = ("get", space.peer[0], "urn:pushed", *space.peer[1:], "--push", "-o", tmp_path / "copy", *space.consumer.options)
    got = run(*words)
    assert got.code == 0, got.err
    assert (tmp_path / "copy" / "deep" / "a").read_text() == "a"


def test_what_is_not_offered_in_a_format_is_said_before_anything_begins(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "unpushed").write_text("a")
    words = ("publish", tmp_path / "unpushed", "--id", "urn:unpushed", "--policy", "open", *space.provider.options)
    assert run(*words).code == 0
    with Access(config=space.provider.config).open() as (node, me):
        asset = node.send(me.asset("urn:unpushed"))
        node.send(me.put_asset(asset.model_copy(update={"formats": ("HttpData-PULL",)})))
    words = ("get", space.peer[0], "urn:unpushed", *space.peer[1:], "--push", "-o", tmp_path / "copy", *space.consumer.options)
    before = run("negotiations", *space.consumer.options, "--json").tree["total"]
    failed = run(*words)
    assert failed.code == 1
    assert failed.err.startswith(
        "error: it is not offered as `HttpData-PUSH` at `urn:unpushed`; it is offered as `HttpData-PULL`"
    )
    assert run("negotiations", *space.consumer.options, "--json").tree["total"] == before
