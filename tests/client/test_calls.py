"""What is asked of a node: method, path, query, body, and how the answer is read."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from connector.api.negotiations import NegotiationStep
from connector.api.offerings import Asset
from connector.api.participants import Rules
from connector.api.transfers import NewTransfer
from connector.client import Calls, participants

ACME = Calls("acme")


def test_an_id_stands_escaped_in_the_path() -> None:
    assert ACME.asset("urn:a/b?c#d").path == "/api/v1/participants/acme/assets/urn%3Aa%2Fb%3Fc%23d"


def test_what_is_not_asked_for_is_not_in_the_query() -> None:
    assert ACME.negotiations(state="FINALIZED", limit=5).query == {"state": "FINALIZED", "limit": "5"}
    assert ACME.negotiations(is_held=True).query == {"held": "true"}
    assert participants().query == {}


def test_a_body_leaves_out_what_is_none() -> None:
    body = ACME.begin_transfer(NewTransfer(agreement="urn:a", format="HttpData-PULL")).body
    assert body is not None
    assert json.loads(body) == {"agreement": "urn:a", "format": "HttpData-PULL"}


def test_an_act_has_a_body_even_when_nothing_goes_with_it() -> None:
    assert ACME.act_in_negotiation("p", "approve").body == b"{}"
    step = ACME.act_in_negotiation("p", "terminate", NegotiationStep(reason="no")).body
    assert step is not None
    assert json.loads(step) == {"reason": "no"}


def test_an_asset_is_put_under_its_own_id() -> None:
    call = ACME.put_asset(Asset(id="urn:a"))
    assert (call.method, call.path) == ("PUT", "/api/v1/participants/acme/assets/urn%3Aa")


def test_a_secret_travels_plainly_and_once() -> None:
    call = ACME.put_secret("upstream", "Bearer x")
    assert call.body == b'{"value": "Bearer x"}'
    with pytest.raises(ValidationError):
        ACME.put_secret("upstream", "")


def test_rules_are_a_list() -> None:
    rules = Rules.model_validate([{"on": "REQUESTED", "do": "hold"}])
    body = ACME.set_rules(rules).body
    assert body is not None
    assert [rule["do"] for rule in json.loads(body)] == ["hold"]


def test_an_answer_becomes_a_model() -> None:
    read = ACME.assets().read(b'{"items": [{"id": "urn:a"}], "total": 1, "next_cursor": null, "later": true}')
    assert [asset.id for asset in read.items] == ["urn:a"]
