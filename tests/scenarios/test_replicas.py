"""Replicas on one PostgreSQL database: whoever is there answers, and nothing dies with a node."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.scenarios.replicas import LEASE_S, Buyer, replicas, until
from tests.scenarios.wire import message
from tests.servers.postgres import running

AGREEMENT = "ContractAgreementMessage"
UNSENT = 40


def test_any_replica_answers_any_message(tmp_path: Path, buyer: Buyer, database: str) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two):
        one.publish()
        until(two.offers, "what was published at one replica is offered by the other")

        first = one.ask(buyer, "urn:c:1", "urn:m:1")
        assert first.status_code == 201
        pid = first.json()["providerPid"]
        # a repetition gets the first answer, wherever it arrives
        again = two.ask(buyer, "urn:c:1", "urn:m:1")
        assert (again.status_code, again.content) == (201, first.content)

        until(lambda: buyer.got(AGREEMENT) == ["urn:c:1"], "the agreement is sent")
        until(lambda: two.http.get(f"negotiations/{pid}").json()["state"] == "AGREED", "both know that it was taken")
        pids = {"providerPid": pid, "consumerPid": "urn:c:1"}
        verified = two.post(
            f"negotiations/{pid}/agreement/verification", message("ContractAgreementVerificationMessage", **pids)
        )
        assert verified.status_code == 200
        until(lambda: one.http.get(f"negotiations/{pid}").json()["state"] == "FINALIZED", "one sees what two did")
        assert buyer.got("ContractNegotiationEventMessage") == ["urn:c:1"]
        # and what has become illegal is refused by the one that did not see why
        accepted = message("ContractNegotiationEventMessage", **pids, eventType="ACCEPTED")
        assert one.post(f"negotiations/{pid}/events", accepted).status_code == 400


def test_first_messages_that_reach_both_at_once_make_one_process(tmp_path: Path, buyer: Buyer, database: str) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two), ThreadPoolExecutor(8) as threads:
        one.publish()
        until(two.offers, "both offer it")
        asked = [threads.submit((one, two)[n % 2].ask, buyer, f"urn:c:{n // 8}", f"urn:m:{n // 8}") for n in range(64)]
        answers = [one_.result() for one_ in asked]
        assert {answer.status_code for answer in answers} == {201}
        by_consumer = {(answer.json()["consumerPid"], answer.json()["providerPid"]) for answer in answers}
        assert len(by_consumer) == 8
        until(lambda: len(set(buyer.got(AGREEMENT))) == 8, "each is agreed")


def test_what_a_killed_replica_had_not_sent_is_sent_by_another(tmp_path: Path, buyer: Buyer, database: str) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two):
        one.publish()
        until(two.offers, "both offer it")
        buyer.is_open.clear()
        pids = {}
        for number in range(UNSENT):
            answer = one.ask(buyer, f"urn:c:{number}")
            assert answer.status_code == 201
            pids[f"urn:c:{number}"] = answer.json()["providerPid"]
        one.kill()
        tried = len(buyer.received)
        buyer.is_open.set()
        took = until(lambda: set(buyer.got(AGREEMENT)[tried:]) == set(pids), "all are sent", LEASE_S + 2)
        print(f"{UNSENT} messages of the killed replica sent by the other {took:.2f} s after its end, lease {LEASE_S:.0f} s")
        # a message that may have arrived before is repeated under its own id
        ids: dict[str, set[str]] = {}
        for _, tree in buyer.received:
            ids.setdefault(tree["consumerPid"], set()).add(tree["@id"])
        assert {len(found) for found in ids.values()} == {1}
        assert set(Counter(buyer.got(AGREEMENT)[tried:]).values()) == {1}
        for consumer_pid, pid in pids.items():
            until(lambda pid=pid: two.http.get(f"negotiations/{pid}").json()["state"] == "AGREED", consumer_pid)  # type: ignore[misc]


def test_a_database_that_goes_away_is_seen_and_used_again_when_it_is_back(tmp_path: Path, buyer: Buyer, postgres: str) -> None:
    with running() as server, replicas(tmp_path, server.url, ("one",)) as (one,):
        one.publish()
        buyer.is_open.clear()
        before = one.ask(buyer, "urn:c:before")
        assert before.status_code == 201
        until(lambda: len(buyer.received) == 1, "a message is under way")

        server.stop()
        until(lambda: not one.is_ready(), "the node says that it is not ready")
        refused = one.ask(buyer, "urn:c:during")
        assert (refused.status_code, refused.json()["@type"]) == (503, "ContractNegotiationError")
        assert "kontor:" not in one.operator.get("/ready").text
        # the message is taken while nobody can note it
        buyer.is_open.set()

        server.start()
        until(one.is_ready, "the node is ready again")
        assert one.ask(buyer, "urn:c:during").status_code == 201
        until(lambda: buyer.got(AGREEMENT).count("urn:c:during") == 1, "what is asked now is agreed")
        pid = before.json()["providerPid"]
        until(
            lambda: one.http.get(f"negotiations/{pid}").json()["state"] == "AGREED",
            "what was under way is settled",
            LEASE_S + 5,
        )
        log = (one.node.folder / "node.log").read_text()
        assert server.url not in log
        assert server.password not in log
