"""The commands about use: how an agreement stands, what people put on record, what was decided and why, in three languages."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, Space

PAID = """policy: urn:paid
permit:
  - action: use
    when: [count <= 1, payAmount >= 500 EUR]
"""


def test_what_is_paid_is_put_on_record_and_what_was_used_and_decided_is_told(run: Run, space: Space, tmp_path: Path) -> None:
    data, terms = tmp_path / "rain.csv", tmp_path / "paid.yaml"
    data.write_text("1\n")
    terms.write_text(PAID)
    provider, consumer = space.provider.options, space.consumer.options
    published = run("publish", data, "--policy", terms, "--id", "urn:rain", *provider)
    assert published.code == 0, published.err
    agreed = run("negotiate", space.peer[0], "urn:rain", *space.peer[1:], "--json", *consumer)
    assert agreed.code == 0, agreed.err
    agreement = agreed.tree["agreement_id"]
    record = ("agreements", "record", agreement, "payment", "--amount", "500", "--currency", "EUR", "--key", "invoice-1")
    for options in (provider, provider, consumer):
        recorded = run(*record, *options)
        assert recorded.code == 0, recorded.err
        assert "500 EUR" in recorded.out
    got = run("get", space.peer[0], "urn:rain", *space.peer[1:], "-o", tmp_path / "got", *consumer)
    assert got.code == 0, got.err
    told = run("agreements", "usage", agreement, "--lines", "5", *provider)
    assert told.code == 0, told.err
    assert "payAmount gteq 500" in told.out
    assert "transfer and running" in told.out
    tree = run("agreements", "usage", agreement, "--json", *provider).tree
    assert tree["total"]["paid"] == {"EUR": "500"}
    decided = run("decisions", "--about", agreement, *provider)
    assert "permit" in decided.out
    assert run("decisions", "--effect", "void", *provider).code == 0
    pid = run("negotiations", "--json", *provider).tree["items"][0]["pid"]
    for language, word in (("en", "permitted"), ("de", "erlaubt"), ("zh", "允许")):
        assert word in run("show", pid, "--language", language, *provider).out


def test_a_record_that_does_not_fit_its_kind_is_wrong_usage(run: Run, space: Space) -> None:
    refused = run("agreements", "record", "urn:a", "payment", "--duty", "delete", *space.provider.options)
    assert refused.code == 2
    assert "needs `amount`" in refused.err


def test_agreements_without_a_word_are_listed(run: Run, space: Space) -> None:
    assert run("agreements", *space.provider.options).code == 0
