"""The models of the operator API say what is wrong, accept their own examples, and are what the store keeps."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil

import pydantic
import pytest

import connector.api
from connector.api.agreements import ImportedAgreement
from connector.api.common import Asked, Listing
from connector.api.negotiations import NegotiationStep, NewNegotiation
from connector.api.offerings import Asset, AssetSource, ContractDefinition, Policy
from connector.api.participants import NewParticipant, Rules
from connector.api.secrets import NewSecret
from connector.api.transfers import NewTransfer

MODELS = sorted(
    {
        model
        for module in pkgutil.iter_modules(connector.api.__path__, "connector.api.")
        for model in vars(importlib.import_module(module.name)).values()
        if isinstance(model, type)
        and issubclass(model, pydantic.BaseModel)
        and "[" not in model.__name__
        and model.__module__.startswith("connector.api")
    },
    key=lambda model: model.__name__,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_says_what_it_is(model: type[pydantic.BaseModel]) -> None:
    assert (model.__doc__ or "").strip()


@pytest.mark.parametrize("model", [m for m in MODELS if issubclass(m, Asked)], ids=lambda model: model.__name__)
def test_every_example_of_a_field_is_accepted_by_that_field(model: type[pydantic.BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for example in field.examples or ():
            annotated = pydantic.create_model("One", **{name: (field.annotation, field)})  # type: ignore[call-overload]
            annotated.model_validate({name: example})


@pytest.mark.parametrize(
    "model", [m for m in MODELS if issubclass(m, Asked) and m is not Asked], ids=lambda model: model.__name__
)
def test_an_unknown_member_is_refused(model: type[pydantic.BaseModel]) -> None:
    with pytest.raises(pydantic.ValidationError) as refused:
        model.model_validate({"colour": "blue"})
    assert ("colour",) in [error["loc"] for error in refused.value.errors() if error["type"] == "extra_forbidden"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"type": "file"}, "needs `path`"),
        ({"type": "folder", "url": "http://a"}, "needs `path`"),
        ({"type": "http", "path": "/a"}, "needs `url`"),
        ({"type": "none", "path": "/a"}, "has no `path`"),
        ({"type": "file", "path": "a.csv"}, "not absolute"),
        ({"type": "file", "path": "/a.csv", "secret": "s"}, "needs no `secret`"),
        ({"type": "ftp"}, "Input should be"),
        ({"type": "file", "path": "/a", "proxied": True}, "leave `proxied` out"),
        ({"type": "s3", "key": "a.csv"}, "needs `bucket`"),
        ({"type": "s3", "bucket": "abc", "url": "https://a"}, "has no `url`"),
        ({"type": "s3", "bucket": "abc", "key": "a/../b"}, "`key` has an empty step"),
        ({"type": "s3", "bucket": "abc", "key": "/a"}, "`key` has an empty step"),
        ({"type": "s3", "bucket": "abc", "endpoint": "https://key:word@a"}, "should match pattern"),
        ({"type": "file", "path": "/a", "bucket": "abc"}, "has no `bucket`"),
        ({"type": "http", "url": "https://a", "region": "eu-1"}, "has no `region`"),
    ],
)
def test_a_source_that_does_not_fit_its_type_is_refused(source: dict[str, str], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        AssetSource.model_validate(source)


def test_what_is_stored_is_read_again() -> None:
    asset = Asset(id="a", source=AssetSource(type="http", url="https://x.example/data", secret="upstream"), keywords=("k",))
    assert Asset.model_validate(asset.model_dump(mode="json")) == asset
    definition = ContractDefinition.model_validate(
        {"id": "d", "assets": ["*"], "policy": "p", "rules": [{"on": "REQUESTED", "do": "hold"}]}
    )
    assert ContractDefinition.model_validate(definition.model_dump(mode="json")) == definition


@pytest.mark.parametrize("bad", ["", "a b", "a\n", "\x00", "x" * 513])
def test_an_id_is_a_text_without_blanks(bad: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Policy.model_validate({"id": bad, "policy": {}})


@pytest.mark.parametrize("bad", ["ftp://a.example", "a.example", "https://", "https://u:p@a.example", "https://a.example/?q=1"])
def test_an_address_is_absolute_and_bare(bad: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        NewTransfer.model_validate({"agreement": "a", "format": "HttpData-PULL", "address": bad})


def test_the_shapes_that_programs_rely_on_are_read() -> None:
    NewNegotiation.model_validate({"address": "http://127.0.0.1:8080", "peer": "TCK", "dataset": "d", "offer": {"@id": "o"}})
    NewParticipant.model_validate({"name": "acme", "id": "did:web:acme.example"})
    NegotiationStep.model_validate({})
    ImportedAgreement.model_validate({"role": "provider", "peer": "p", "agreement": {"@id": "a"}})
    assert Rules.model_validate([{"kind": "transfer", "on": "STARTED", "do": "suspend", "delay_s": 0.5}]).root[0].delay_s == 0.5


def test_a_secret_does_not_show_itself() -> None:
    secret = NewSecret.model_validate({"value": "hush"})
    assert "hush" not in repr(secret)
    assert "hush" not in secret.model_dump_json()


def test_a_list_says_how_many_there_are_and_how_to_go_on() -> None:
    assert Listing[int](items=[1], total=3, next_cursor="c").model_dump() == {"items": [1], "total": 3, "next_cursor": "c"}


def test_a_default_is_one_for_every_type_checker() -> None:
    # PEP 681: what stands as `default` of a field specifier has that name; a program of a user is checked without our plugin
    for module in {inspect.getmodule(model) for model in MODELS}:
        assert module is not None
        calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
        named = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Field" and node.args]
        assert [f"{module.__name__} line {node.lineno}" for node in named] == []
