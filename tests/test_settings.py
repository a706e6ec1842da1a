"""Settings: safe defaults, and every fault named by file, line, setting and mend."""

from __future__ import annotations

import pathlib
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from connector import settings as settings_of_ours
from connector.errors import ConfigurationError
from connector.settings import Settings, read

MINIMAL = '[node]\npublic_url = "https://data.example.org"\n'


def written(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "kontor.toml"
    path.write_text(text)
    return path


def fault_of(folder: pathlib.Path, text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as found:
        read(written(folder, text))
    assert found.value.where == str(folder / "kontor.toml")
    return found.value


# --- what is there


def test_one_setting_is_enough_and_the_rest_is_safe(tmp_path: pathlib.Path) -> None:
    found = read(written(tmp_path, MINIMAL))
    assert found.unsafe() == ()
    assert found.operator.host == "127.0.0.1"
    assert found.operator.api_keys == ()
    assert found.public.trusted_proxies == ()
    assert found.node.data_dir == tmp_path / "data"
    assert found.plugins == ()


def models() -> Iterator[type[pydantic.BaseModel]]:
    for model in vars(settings_of_ours).values():
        if isinstance(model, type) and issubclass(model, pydantic.BaseModel) and model.__module__ == "connector.settings":
            yield model


@pytest.mark.parametrize("model", list(models()), ids=lambda model: model.__name__)
def test_no_section_takes_what_it_does_not_know_and_none_can_be_changed(model: type[pydantic.BaseModel]) -> None:
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]


@pytest.mark.parametrize("model", list(models()), ids=lambda model: model.__name__)
def test_a_number_says_its_unit_in_its_name_or_counts_things(model: type[pydantic.BaseModel]) -> None:
    counts = {
        "port",
        "connections",
        "attempts",
        "parallel",
        "parallel_per_peer",
        "push_attempts",
        "nth",
        "page_size",
        "allowed_ports",
    }
    for name, field in model.model_fields.items():
        kinds = {field.annotation, *typing.get_args(field.annotation)}
        if kinds & {int, float} and name not in counts:
            assert name.endswith(("_s", "_bytes")), name


def test_nothing_that_weakens_a_check_is_on_by_itself() -> None:
    for model in models():
        for name, field in model.model_fields.items():
            if name.startswith("unsafe_"):
                assert field.default in (False, ()), name


def test_what_is_unsafe_is_listed_by_its_full_name() -> None:
    found = Settings.model_validate(
        {
            "node": {"public_url": "http://a.example"},
            "outbound": {"unsafe_allow_http": True, "unsafe_allow_private": True},
            "participants": {
                "a": {"id": "urn:a", "unsafe_static_tokens": [{"id": "urn:b", "theirs": "t"}]},
                "b": {"id": "urn:b"},
            },
        }
    )
    assert found.unsafe() == (
        "outbound.unsafe_allow_http",
        "outbound.unsafe_allow_private",
        "participants.a.unsafe_static_tokens",
    )


# --- what is refused

NODE = {"public_url": "https://a.example"}
PEER = {"id": "urn:b"}


def _participant(**changes: Any) -> dict[str, Any]:
    return {"participants": {"a": {"id": "urn:a", **changes}}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "node.public_url missing": ({"node": {}}, "node.public_url"),
    "node.public_url relative": ({"node": {"public_url": "a.example"}}, "node.public_url"),
    "node.public_url scheme": ({"node": {"public_url": "ftp://a.example"}}, "node.public_url"),
    "node.public_url query": ({"node": {"public_url": "https://a.example/?x=1"}}, "node.public_url"),
    "node.public_url user": ({"node": {"public_url": "https://a:b@a.example"}}, "node.public_url"),
    "node.id": ({"node": {**NODE, "id": "a b"}}, "node.id"),
    "node.id long": ({"node": {**NODE, "id": "a" * 65}}, "node.id"),
    "node.roles": ({"node": {**NODE, "roles": ["king"]}}, "node.roles.0"),
    "node.log_format": ({"node": {**NODE, "log_format": "xml"}}, "node.log_format"),
    "node.log_level": ({"node": {**NODE, "log_level": "loud"}}, "node.log_level"),
    "public.port": ({"public": {"port": 70000}}, "public.port"),
    "public.port negative": ({"public": {"port": -1}}, "public.port"),
    "public.max_body_bytes": ({"public": {"max_body_bytes": 10}}, "public.max_body_bytes"),
    "public.tls_certificate alone": ({"public": {"tls_certificate": "a.pem"}}, "public"),
    "public.tls_key alone": ({"public": {"tls_key": "a.pem"}}, "public"),
    "public.trusted_proxies": ({"public": {"trusted_proxies": "10.0.0.1"}}, "public.trusted_proxies"),
    "operator.port": ({"operator": {"port": "x"}}, "operator.port"),
    "operator.api_keys digest": ({"operator": {"api_keys": [{"name": "a", "sha256": "abc"}]}}, "operator.api_keys.0.sha256"),
    "operator.api_keys plain": ({"operator": {"api_keys": ["abc"]}}, "operator.api_keys.0"),
    "store.lease_s": ({"store": {"lease_s": 0}}, "store.lease_s"),
    "outbound.connect_timeout_s": ({"outbound": {"connect_timeout_s": 0}}, "outbound.connect_timeout_s"),
    "outbound.read_timeout_s": ({"outbound": {"read_timeout_s": -1}}, "outbound.read_timeout_s"),
    "outbound.total_timeout_s": ({"outbound": {"total_timeout_s": 0}}, "outbound.total_timeout_s"),
    "outbound.max_answer_bytes": ({"outbound": {"max_answer_bytes": 1}}, "outbound.max_answer_bytes"),
    "outbound.allowed_ports": ({"outbound": {"allowed_ports": ["https"]}}, "outbound.allowed_ports.0"),
    "delivery.attempts": ({"delivery": {"attempts": 0}}, "delivery.attempts"),
    "delivery.attempts many": ({"delivery": {"attempts": 101}}, "delivery.attempts"),
    "delivery.first_delay_s": ({"delivery": {"first_delay_s": 0}}, "delivery.first_delay_s"),
    "delivery.max_delay_s": ({"delivery": {"max_delay_s": 0}}, "delivery.max_delay_s"),
    "delivery.parallel": ({"delivery": {"parallel": 0}}, "delivery.parallel"),
    "delivery.parallel_per_peer": ({"delivery": {"parallel_per_peer": 0}}, "delivery.parallel_per_peer"),
    "data.pull_token_ttl_s": ({"data": {"pull_token_ttl_s": 1}}, "data.pull_token_ttl_s"),
    "data.max_push_bytes": ({"data": {"max_push_bytes": 0}}, "data.max_push_bytes"),
    "data.push_attempts": ({"data": {"push_attempts": 0}}, "data.push_attempts"),
    "data.push_first_delay_s": ({"data": {"push_first_delay_s": 0}}, "data.push_first_delay_s"),
    "participants name": ({"participants": {"A b": {"id": "urn:a"}}}, "participants"),
    "participants reserved name": ({"participants": {"api": {"id": "urn:a"}}}, "participants"),
    "participants two of one id": ({"participants": {"a": {"id": "urn:a"}, "b": {"id": "urn:a"}}}, "participants"),
    "participants.id missing": ({"participants": {"a": {}}}, "participants.a.id"),
    "participants.page_size": (_participant(page_size=0), "participants.a.page_size"),
    "participants.approval": (_participant(approval="maybe"), "participants.a.approval"),
    "participants.disclosure": (_participant(disclosure="some"), "participants.a.disclosure"),
    "participants.longest_wait_s": (_participant(longest_wait_s=0), "participants.a.longest_wait_s"),
    "participants.longest_wait_s endless": (_participant(longest_wait_s=float("inf")), "participants.a.longest_wait_s"),
    "rules.on": (_participant(rules=[{"on": "ASLEEP", "do": "hold"}]), "participants.a.rules.0.on"),
    "rules.do": (_participant(rules=[{"on": "REQUESTED", "do": "dance"}]), "participants.a.rules.0.do"),
    "rules.kind": (_participant(rules=[{"on": "REQUESTED", "do": "hold", "kind": "x"}]), "participants.a.rules.0.kind"),
    "rules.role": (_participant(rules=[{"on": "REQUESTED", "do": "hold", "role": "x"}]), "participants.a.rules.0.role"),
    "rules.nth": (_participant(rules=[{"on": "REQUESTED", "do": "hold", "nth": 0}]), "participants.a.rules.0.nth"),
    "rules.delay_s": (_participant(rules=[{"on": "REQUESTED", "do": "hold", "delay_s": -1}]), "participants.a.rules.0.delay_s"),
    "rules.delay_s endless": (
        _participant(rules=[{"on": "REQUESTED", "do": "hold", "delay_s": float("inf")}]), "participants.a.rules.0.delay_s"
    ),
    "tokens.id": (_participant(unsafe_static_tokens=[{"theirs": "x"}]), "participants.a.unsafe_static_tokens.0.id"),
    "tokens.claims": (_participant(unsafe_static_tokens=[{**PEER, "claims": "x"}]), "participants.a.unsafe_static_tokens.0.claims"),
    "limits.requests_at_once": ({"limits": {"requests_at_once": 0}}, "limits.requests_at_once"),
    "limits.peer.requests_per_s": ({"limits": {"peer": {"requests_per_s": 0}}}, "limits.peer.requests_per_s"),
    "limits.peer.transfers_at_once": ({"limits": {"peer": {"transfers_at_once": 0}}}, "limits.peer.transfers_at_once"),
    "limits.participant.max_body_bytes": (
        {"limits": {"participant": {"max_body_bytes": 10}}}, "limits.participant.max_body_bytes"
    ),
    "participants.limits": (_participant(limits={"requests_at_once": 0}), "participants.a.limits.requests_at_once"),
    "participants.peer_limits": (
        _participant(peer_limits={"urn:b": {"requests_per_s": -1}}), "participants.a.peer_limits.urn:b.requests_per_s"
    ),
    "telemetry.otlp_url": ({"telemetry": {"otlp_url": "localhost:4318"}}, "telemetry.otlp_url"),
    "telemetry.sample_ratio": ({"telemetry": {"sample_ratio": 2}}, "telemetry.sample_ratio"),
    "telemetry.service": ({"telemetry": {"service": ""}}, "telemetry.service"),
    "plugins": ({"plugins": "mine"}, "plugins"),
    "an unknown section": ({"colour": {}}, "colour"),
    "an unknown setting": ({"store": {"path": "x"}}, "store.path"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_value_is_refused_at_its_place(name: str) -> None:
    tree, place = REFUSED[name]
    with pytest.raises(pydantic.ValidationError) as refused:
        Settings.model_validate({"node": NODE, **tree})
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [place]


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example:444/kontor/", "http://127.0.0.1:0"])
def test_a_public_address_has_no_slash_at_its_end(url: str) -> None:
    assert Settings.model_validate({"node": {"public_url": url}}).node.public_url == url.rstrip("/")


def test_no_token_of_a_provider_opens_two_doors_of_one_node() -> None:
    def node(*audiences: str | None, oidc: str | None = None, issuer: str = "https://p.example") -> Settings:
        parts = {f"p{n}": {"id": f"urn:p{n}", "oauth2": {"issuer": issuer, "audience": one}} for n, one in enumerate(audiences)}
        operators = {"oidc": {"issuer": "https://p.example", "audience": oidc, "grants": [{"value": "x", "role": "read"}]}}
        operators = operators if oidc else {}
        return Settings.model_validate({"node": NODE, "participants": parts, "operator": operators})

    assert node(None, None, "urn:p2", oidc="kontor").unsafe() == ()
    node("kontor", oidc="kontor", issuer="https://another.example")
    for audiences, oidc in ((("a", "a"), None), (("urn:p1", None), None), (("kontor",), "kontor")):
        with pytest.raises(ValueError, match="take the same tokens"):
            node(*audiences, oidc=oidc)
    # that of an old space is everybody's, and each start warns of it
    daps = node("idsc:IDS_CONNECTORS_ALL", "idsc:IDS_CONNECTORS_ALL")
    assert daps.unsafe() == ("participants.p0.oauth2.audience", "participants.p1.oauth2.audience")


@pytest.mark.parametrize("name", ["a", "acme", "acme-2", "a.b_c", "a" * 64])
def test_a_local_name_is_short_and_plain(name: str) -> None:
    Settings.model_validate({"node": NODE, "participants": {name: {"id": "urn:a"}}})


# --- the file


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="kontor init") as fault:
        read(tmp_path / "kontor.toml")
    assert fault.value.where == str(tmp_path / "kontor.toml")


def test_a_file_that_is_no_toml_names_the_line(tmp_path: pathlib.Path) -> None:
    fault = fault_of(tmp_path, '[node]\npublic_url = "https://a.example\n')
    assert "line 2" in fault.what
    assert fault.mend


def test_a_file_that_is_no_text_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kontor.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "kontor.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path)


def test_every_fault_is_named_at_once_with_line_setting_and_mend(tmp_path: pathlib.Path) -> None:
    fault = fault_of(
        tmp_path,
        """\
[node]
public_url = "https://a.example"
colour = "blue"

[public]
port = 99999

[participants.acme]
id = "urn:acme"
approval = "perhaps"
""",
    )
    assert "line 3: `node.colour`: unknown setting" in fault.what
    assert "line 6: `public.port`:" in fault.what
    assert "line 10: `participants.acme.approval`:" in fault.what
    assert "kontor config explain" in fault.mend


def test_a_setting_that_is_missing_is_shown_at_its_section(tmp_path: pathlib.Path) -> None:
    fault = fault_of(tmp_path, "# a comment\n[node]\nid = 'n'\n")
    assert "line 2: `node.public_url`" in fault.what


def test_a_setting_inside_an_inline_table_is_shown_on_its_line(tmp_path: pathlib.Path) -> None:
    text = MINIMAL + '[operator]\napi_keys = [{ name = "a", sha256 = "short" }]\n'
    assert "line 4: `operator.api_keys.0.sha256`" in fault_of(tmp_path, text).what


# --- secrets


TOKENS = MINIMAL + '[participants.acme]\nid = "urn:acme"\n[[participants.acme.unsafe_static_tokens]]\nid = "urn:b"\n'


def test_a_secret_is_a_text_or_comes_from_the_environment_or_a_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIRS", "Bearer theirs")
    (tmp_path / "ours.txt").write_text("Bearer ours\n")
    text = 'secrets_key = "plain"\n' + TOKENS + 'theirs = { env = "THEIRS" }\nours = { file = "ours.txt" }\n'
    found = read(written(tmp_path, text))
    (peer,) = found.participants["acme"].unsafe_static_tokens
    assert (peer.theirs, peer.ours, found.secrets_key) == ("Bearer theirs", "Bearer ours", "plain")


def test_a_secret_does_not_show_itself(tmp_path: pathlib.Path) -> None:
    text = 'secrets_key = "hush-key"\n' + TOKENS + 'theirs = "hush-theirs"\nours = "hush-ours"\n'
    assert "hush" not in repr(read(written(tmp_path, text)))


def test_the_address_of_a_store_may_hold_a_password_and_does_not_show_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", "postgresql://kontor:hush@db.example/kontor")
    text = '[node]\npublic_url = "https://a.example"\n[store]\nurl = { env = "STORE" }\nconnections = 4\n'
    found = read(written(tmp_path, text))
    assert (found.store.url, found.store.connections) == ("postgresql://kontor:hush@db.example/kontor", 4)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{ env = "NOT_SET_ANYWHERE" }', "`NOT_SET_ANYWHERE` is not set"),
        ('{ file = "missing.txt" }', "`missing.txt` cannot be read"),
        ('{ vault = "x" }', "a secret is a text"),
        ('{ env = "A", file = "B" }', "a secret is a text"),
        ("5", "valid string"),
    ],
)
def test_a_secret_that_is_not_to_be_had_names_the_place(tmp_path: pathlib.Path, value: str, said: str) -> None:
    fault = fault_of(tmp_path, TOKENS + f"theirs = {value}\n")
    assert "line 7: `participants.acme.unsafe_static_tokens.0.theirs`" in fault.what
    assert said in fault.what


def test_files_are_looked_for_beside_the_configuration(tmp_path: pathlib.Path) -> None:
    text = MINIMAL + '[public]\ntls_certificate = "server.pem"\ntls_key = "/etc/server.key"\n'
    found = read(written(tmp_path, text))
    assert (found.public.tls_certificate, found.public.tls_key) == (tmp_path / "server.pem", pathlib.Path("/etc/server.key"))
