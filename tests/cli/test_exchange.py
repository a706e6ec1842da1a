"""The commands of two people, one on each side of a contract: publish, find, negotiate, get, approve, counter, stop, look."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from connector.api.participants import Rules
from connector.cli import download, get
from connector.cli.access import Access
from connector.errors import BadMessage, Unreachable
from connector.settings import Rule
from tests.cli.conftest import Run, Space

RESEARCH = "policy: urn:p\npermit:\n  - action: use\n    when: purpose == research\n"


_names = itertools.count()


@pytest.fixture
def published(run: Run, space: Space, tmp_path: Path) -> str:
    """The id of a data set that members may have; its file is in `tmp_path`."""
    file = tmp_path / f"data-{next(_names)}.csv"
    file.write_bytes(os.urandom(300_000))
    done = run("publish", file, "--keyword", "test", "--policy", "members-only", *space.provider.options)
    assert done.code == 0, done.err
    return f"urn:kontor:provider:{file.stem}"


def source(dataset: str, folder: Path) -> bytes:
    return (folder / f"{dataset.rpartition(':')[2]}.csv").read_bytes()


def test_a_file_is_published_with_its_digest_and_found(run: Run, space: Space, tmp_path: Path) -> None:
    file = tmp_path / "weather 2025.csv"
    file.write_text("a,b\n1,2\n")
    done = run(
        "publish", file, "--title", "Weather", "--description", "Hourly.", "--keyword", "weather", "--keyword", "hourly",
        "--policy", "members-only", "--json", *space.provider.options,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.tree["dataset"] == "urn:kontor:provider:weather-2025"
    assert done.tree["digest"] == hashlib.sha256(file.read_bytes()).hexdigest()
    for options in (space.provider.options, (*space.peer, *space.consumer.options)):
        (row,) = [line for line in run("catalog", *options).out.splitlines() if line.startswith(done.tree["dataset"])]
        assert "weather, hourly" in row
        assert done.tree["offer"] in row
        assert "use if membership eq active" in row
    tree = run("catalog", *space.peer, *space.consumer.options, "--json").tree
    assert any(one["@id"] == done.tree["dataset"] for one in tree["dataset"])


def test_publishing_twice_needs_a_word(run: Run, space: Space, published: str, tmp_path: Path) -> None:
    again = ("publish", tmp_path / f"{published.rpartition(':')[2]}.csv", "--policy", "members-only", *space.provider.options)
    failed = run(*again)
    assert failed.code == 1
    assert "--replace" in failed.err
    assert run(*again, "--replace").code == 0


def test_a_policy_of_a_file_goes_to_the_node_and_is_not_overwritten(run: Run, space: Space, tmp_path: Path) -> None:
    policy, data = tmp_path / "only-research.yaml", tmp_path / "of-a-file.csv"
    policy.write_text(RESEARCH)
    data.write_text("x")
    words = ("publish", data, "--policy", policy, *space.provider.options)
    assert run(*words).code == 0
    assert run(*words, "--replace").code == 0
    policy.write_text(RESEARCH.replace("research", "statistics"))
    failed = run(*words, "--replace")
    assert failed.code == 1
    assert "another policy `only-research`" in failed.err


def test_what_cannot_be_published_is_said(run: Run, space: Space, tmp_path: Path) -> None:
    missing = run("publish", tmp_path / "none.csv", "--policy", "open", *space.provider.options)
    assert missing.err.startswith("error: there is no such file or folder at ")
    unknown = run("publish", tmp_path, "--policy", "no-such-policy", *space.provider.options)
    assert "no such policy" in unknown.err
    assert (missing.code, unknown.code) == (1, 1)


def test_get_negotiates_downloads_and_verifies_and_the_next_time_reuses(
    run: Run, space: Space, published: str, tmp_path: Path
) -> None:
    words = ("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "--json")
    first = run(*words, "-o", tmp_path / "first")
    assert first.code == 0, first.err
    assert (tmp_path / "first").read_bytes() == source(published, tmp_path)
    assert first.tree["is_verified"] is True
    assert first.tree["state"] == "COMPLETED"
    second = run(*words, "-o", tmp_path / "second")
    assert second.tree["agreement"] == first.tree["agreement"]
    assert second.tree["transfer"] != first.tree["transfer"]
    pushed = run(*words, "--push", "-o", tmp_path / "pushed")
    assert pushed.code == 0, pushed.err
    assert (tmp_path / "pushed").read_bytes() == source(published, tmp_path)
    assert pushed.tree["agreement"] == first.tree["agreement"]
    kept = run(*words, "-o", tmp_path / "first")
    assert (kept.code, kept.err.startswith("error: there is such a file already at ")) == (1, True)


def test_a_broken_download_is_continued(run: Run, space: Space, published: str, tmp_path: Path) -> None:
    whole = source(published, tmp_path)
    part = tmp_path / "copy.part"
    part.write_bytes(whole[:100_000])
    done = run("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert done.code == 0, done.err
    assert "has 100000 bytes already; continuing there" in done.err
    assert (tmp_path / "copy").read_bytes() == whole
    assert not part.exists()


def test_what_breaks_off_says_how_to_go_on(tmp_path: Path) -> None:
    from connector.client import Calls, Client

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        with Client(f"http://127.0.0.1:{server.getsockname()[1]}", "key") as node:
            wanted = download.Wanted(call=Calls("acme").data("urn:t"), name="urn:d")
            with pytest.raises(Unreachable, match=r"broke off after 9 of 100 bytes at `urn:d`; run the command again"):
                download.fetch(node, wanted, tmp_path / "copy")
        thread.join()
    assert (tmp_path / "copy.part").read_bytes() == b"only this"


@pytest.mark.parametrize("way", [(), ("--push",)])
def test_a_transfer_that_waits_is_taken_up_by_the_next_try(
    run: Run, space: Space, published: str, tmp_path: Path, way: tuple[str, ...]
) -> None:
    words = ("get", space.peer[0], published, *space.peer[1:], *way, *space.consumer.options)
    with Access(config=space.provider.config).open() as (node, me):
        node.send(me.set_rules(Rules((Rule(kind="transfer", on="REQUESTED", do="hold", dataset=published),))))
        try:
            for _ in range(2):
                waits = run(*words, "--wait", 0.4, "-o", tmp_path / "copy")
                assert (waits.code, "the transfer is still in REQUESTED" in waits.err) == (1, True), waits.err
            (theirs,) = [one for one in node.send(me.transfers(role="provider")).items if one.dataset == published]
            node.send(me.act_in_transfer(theirs.pid, "start"))
        finally:
            node.send(me.set_rules(Rules(())))
    done = run(*words, "--json", "-o", tmp_path / "copy")
    assert done.code == 0, done.err
    if not way:
        # a push that was started may be over before anybody comes to take it up
        assert done.tree["transfer"] == theirs.peer_pid
    agreed = run("agreements", *space.consumer.options, "--json").tree["items"]
    assert [one["id"] for one in agreed if one["dataset"] == published] == [done.tree["agreement"]]


def test_wrong_bytes_do_not_stay(run: Run, space: Space, published: str, tmp_path: Path) -> None:
    part = tmp_path / "copy.part"
    part.write_bytes(b"x" * 100_000)
    failed = run("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert failed.code == 1
    assert failed.err.splitlines()[-1].startswith("error: the bytes have the digest ")
    assert not part.exists()
    assert not (tmp_path / "copy").exists()
    again = run("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert again.code == 0


@pytest.mark.parametrize("have", [300_000, 300_001])
def test_what_is_whole_already_is_only_verified(run: Run, space: Space, published: str, tmp_path: Path, have: int) -> None:
    whole = source(published, tmp_path)
    (tmp_path / "copy.part").write_bytes((whole + b"!")[:have])
    done = run("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    assert done.code == 0, done.err
    assert (tmp_path / "copy").read_bytes() == whole


def test_a_folder_comes_with_all_its_files(run: Run, space: Space, tmp_path: Path) -> None:
    folder = tmp_path / "many files"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("bb")
    (folder / "back\\slash\nand line").touch()
    assert run("publish", folder, "--policy", "open", *space.provider.options).code == 0
    target = tmp_path / "copy"
    done = run(
        "get", space.peer[0], "urn:kontor:provider:many-files", *space.peer[1:], *space.consumer.options, "-o", target, "--json"
    )
    assert done.code == 0, done.err
    assert {p.relative_to(target).as_posix(): p.read_text() for p in target.rglob("*") if p.is_file()} == {
        "a.txt": "a",
        "deep/b.txt": "bb",
        "back\\slash\nand line": "",
    }
    assert done.tree["byte_size"] == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "", "a//b", "."])
def test_a_manifest_reaches_nothing_outside_its_folder(path: str) -> None:
    manifest = json.dumps({"files": [{"path": path, "byte_size": 1}]}).encode()
    with pytest.raises(BadMessage, match="no file of a folder"):
        list(get._entries(manifest, "urn:x"))


def test_a_refused_purpose_ends_with_the_reason_and_nothing_is_written(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "research.yaml").write_text(RESEARCH)
    (tmp_path / "studies.csv").write_text("x")
    words = ("publish", tmp_path / "studies.csv", "--policy", tmp_path / "research.yaml", "--id", "urn:studies")
    assert run(*words, *space.provider.options).code == 0
    failed = run(
        "get",
        space.peer[0],
        "urn:studies",
        *space.peer[1:],
        "--purpose",
        "marketing",
        "-o",
        tmp_path / "copy",
        *space.consumer.options,
    )
    assert failed.code == 1
    assert "there is no agreement" in failed.err
    assert "purpose" in failed.err
    assert not (tmp_path / "copy").exists()


def test_what_is_not_offered_is_not_found(run: Run, space: Space) -> None:
    failed = run("negotiate", space.peer[0], "urn:nothing", *space.peer[1:], *space.consumer.options)
    assert failed.code == 1
    assert "does not offer `urn:nothing` to us" in failed.err


def test_a_request_waits_for_a_person_who_approves(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "held.csv").write_text("x")
    run(
        "publish",
        tmp_path / "held.csv",
        "--policy",
        "open",
        "--approval",
        "manual",
        "--id",
        "urn:held",
        *space.provider.options,
    )
    asked = run("negotiate", space.peer[0], "urn:held", *space.peer[1:], "--wait", 0.3, "--json", *space.consumer.options)
    assert asked.code == 1
    assert "still in REQUESTED" in asked.err
    held = run("negotiations", "--held", *space.provider.options, "--json").tree["items"]
    (waiting,) = [one for one in held if one["dataset"] == "urn:held"]
    assert waiting["pid"] in run("negotiations", "--held", *space.provider.options).out
    approved = run("approve", waiting["pid"], *space.provider.options)
    assert approved.code == 0, approved.err
    shown = run("show", asked.tree["pid"], *space.consumer.options, "--json").tree
    assert shown["process"]["state"] in ("AGREED", "VERIFIED", "FINALIZED")
    assert {"operator"} <= {one["by"] for one in run("show", waiting["pid"], *space.provider.options, "--json").tree["records"]}


def test_terms_are_countered_and_ended_with_a_reason(run: Run, space: Space, tmp_path: Path) -> None:
    (tmp_path / "haggled.csv").write_text("x")
    (tmp_path / "research.yaml").write_text(RESEARCH)
    run(
        "publish",
        tmp_path / "haggled.csv",
        "--policy",
        "open",
        "--approval",
        "manual",
        "--id",
        "urn:haggled",
        *space.provider.options,
    )
    asked = run("negotiate", space.peer[0], "urn:haggled", *space.peer[1:], "--wait", 0.3, "--json", *space.consumer.options)
    items = run("negotiations", "--held", *space.provider.options, "--json").tree["items"]
    (ours,) = [one for one in items if one["dataset"] == "urn:haggled"]
    countered = run("counter", ours["pid"], "--terms", tmp_path / "research.yaml", *space.provider.options, "--json")
    assert countered.code == 0, countered.err
    theirs = run("show", asked.tree["pid"], *space.consumer.options, "--json").tree["process"]
    assert theirs["state"] == "OFFERED"
    ended = run("terminate", asked.tree["pid"], "--reason", "too narrow for us", "--code", "no-deal", *space.consumer.options)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("TERMINATED  negotiation ")
    told = run("show", ours["pid"], *space.provider.options).out
    assert "too narrow for us" in told
    assert "no-deal" in told


def test_a_transfer_is_suspended_resumed_and_ended(run: Run, space: Space, published: str) -> None:
    agreed = run("negotiate", space.peer[0], published, *space.peer[1:], "--json", *space.consumer.options)
    assert agreed.code == 0, agreed.err
    begun = _transfer(space, agreed.tree["agreement_id"])
    assert run("suspend", begun, "--reason", "later", *space.consumer.options).out.startswith("SUSPENDED  transfer ")
    assert begun in run("transfers", "--state", "SUSPENDED", *space.consumer.options).out
    resumed = run("resume", begun, *space.consumer.options)
    assert resumed.code == 0, resumed.err
    assert resumed.out.startswith("STARTED  transfer ")
    assert run("terminate", begun, *space.consumer.options).out.startswith("TERMINATED  transfer ")
    refused = run("resume", begun, *space.consumer.options)
    assert refused.code == 1
    assert "TERMINATED" in refused.err


def test_an_agreement_is_ended_with_a_reason_and_gives_nothing_any_more(
    run: Run, space: Space, published: str, tmp_path: Path
) -> None:
    words = ("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "--json")
    first = run(*words, "-o", tmp_path / "first")
    ended = run("agreements", "--end", first.tree["agreement"], "--reason", "it is over", *space.provider.options)
    assert (ended.code, ended.out[:6], "it is over" in ended.out) == (0, "ended ", True), ended.err
    (row,) = (x for x in run("agreements", *space.provider.options).out.splitlines() if x.startswith(first.tree["agreement"]))
    assert "it is over" in row
    again = run("agreements", "--end", first.tree["agreement"], "--reason", "it is over", *space.provider.options)
    assert (again.code, again.err.startswith("error: the agreement ended at ")) == (1, True)
    second = run(*words, "-o", tmp_path / "second")
    assert second.code == 0, second.err
    assert second.tree["agreement"] != first.tree["agreement"]
    assert run("agreements", "--end", first.tree["agreement"], *space.provider.options).code == 2


def _transfer(space: Space, agreement: str) -> str:
    from connector.api.transfers import NewTransfer

    with Access(config=space.consumer.config).open() as (node, me):
        begun = node.send(me.begin_transfer(NewTransfer(agreement=agreement, format="HttpData-PULL")))
        assert node.wait(me.transfer(begun.pid), lambda one: one.state == "STARTED", within_s=10).state == "STARTED"
        return begun.pid


def test_lists_narrow_and_say_where_they_end(run: Run, space: Space, published: str) -> None:
    for _ in range(2):
        assert run("negotiate", space.peer[0], published, *space.peer[1:], *space.consumer.options).code == 0
    shown = run("agreements", "--limit", 1, *space.consumer.options)
    assert shown.code == 0
    assert "in force" in shown.out
    assert "the next with --cursor " in shown.err
    tree = run("agreements", "--limit", 1, *space.consumer.options, "--json").tree
    assert (len(tree["items"]), bool(tree["next_cursor"])) == (1, True)
    following = run("agreements", "--limit", 1, "--cursor", tree["next_cursor"], *space.consumer.options, "--json").tree
    assert following["items"][0]["id"] != tree["items"][0]["id"]
    assert run("negotiations", "--role", "consumer", *space.provider.options).err == "no negotiations\n"
    assert run("transfers", "--peer", "urn:nobody", *space.consumer.options).err == "no transfers\n"


def test_show_tells_every_step_and_every_delivery(run: Run, space: Space, published: str) -> None:
    done = run("negotiate", space.peer[0], published, *space.peer[1:], "--json", *space.consumer.options)
    told = run("show", done.tree["pid"], *space.consumer.options).out
    for word in ("REQUESTED", "AGREED", "VERIFIED", "FINALIZED", "post request", "post verify", space.provider.id):
        assert word in told
    assert run("show", "urn:uuid:none", *space.consumer.options).code == 1


def test_a_node_with_several_participants_asks_which(run: Run, space: Space, tmp_path: Path) -> None:
    from connector.api.participants import NewParticipant
    from connector.client import add_participant

    with Access(config=space.provider.config).open() as (node, _):
        node.send(add_participant(NewParticipant(name="second", id="urn:second")))
        url = str(node._http.base_url)
    key = space.provider.config.parent / "operator.key"
    unclear = run("catalog", "--url", url, "--api-key-file", key)
    assert unclear.code == 1
    assert "`provider`" in unclear.err
    assert "`second`" in unclear.err
    assert run("catalog", "--url", url, "--api-key-file", key, "--participant", "second").err.startswith(
        "nothing is offered yet"
    )


def test_the_environment_names_node_and_key(run: Run, space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.settings import read

    key = (space.consumer.config.parent / "operator.key").read_text().strip()
    monkeypatch.setenv("KONTOR_URL", f"http://127.0.0.1:{read(space.consumer.config).operator.port}")
    monkeypatch.setenv("KONTOR_API_KEY", key)
    assert run("transfers").code == 0
    monkeypatch.setenv("KONTOR_API_KEY", "wrong")
    refused = run("transfers")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: ")
    monkeypatch.delenv("KONTOR_API_KEY")
    assert "name its file with `--api-key-file`, or set KONTOR_API_KEY" in run("transfers").err


def test_two_downloads_into_one_file_do_not_mix(run: Run, space: Space, published: str, tmp_path: Path) -> None:
    words = ("get", space.peer[0], published, *space.peer[1:], *space.consumer.options, "-o", tmp_path / "copy")
    with (tmp_path / "copy.part").open("ab") as file:
        download._lock(file, tmp_path / "copy.part")
        failed = run(*words)
    assert failed.code == 1
    assert "another download writes into it" in failed.err
    assert run(*words).code == 0
