"""Which node is meant and with which key: options, environment, configuration, in this order; and over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from connector.app.listening import free_ports
from connector.cli.access import _operator_url
from connector.cli.init import NewNode, write
from connector.settings import Settings
from tests.cli.conftest import Nodes, Run


@pytest.mark.parametrize(
    ("operator", "url"),
    [
        ({"port": 9}, "http://127.0.0.1:9"),
        ({"host": "0.0.0.0", "port": 9}, "http://127.0.0.1:9"),
        ({"host": "::", "port": 9}, "http://[::1]:9"),
        ({"host": "10.0.0.7", "port": 9, "tls_certificate": "a", "tls_key": "b"}, "https://10.0.0.7:9"),
    ],
)
def test_the_operator_address_is_the_one_that_the_node_listens_on(operator: dict[str, object], url: str) -> None:
    settings = Settings.model_validate({"node": {"public_url": "https://a.example"}, "operator": operator})
    assert _operator_url(settings) == url


def test_a_key_that_is_not_there_is_said_with_what_to_do(run: Run, tmp_path: Path) -> None:
    failed = run("catalog", "--url", "http://127.0.0.1:9", "--api-key-file", tmp_path / "none")
    assert failed.err.startswith(f"error: the API key cannot be read: No such file or directory at `{tmp_path / 'none'}`; ")


def test_a_node_nobody_listens_for_is_said_with_what_to_do(run: Run, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    run("init", "acme", "--unsafe-local", "--operator-port", port, "--folder", tmp_path)
    failed = run("catalog", "--config", tmp_path / "kontor.toml")
    assert failed.code == 1
    assert f"at `http://127.0.0.1:{port}`; start it with `kontor serve`" in failed.err


def test_a_node_with_a_certificate_of_its_own_is_proven_by_it(run: Run, nodes: Nodes, tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "node.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "node.pem"))
    port, operator_port = free_ports(2)
    wanted = NewNode(
        name="acme", id="urn:acme", title="", public_url=f"http://127.0.0.1:{port}", port=port, operator_port=operator_port,
        is_local=True,
    )  # fmt: skip
    write(tmp_path, wanted)
    config = tmp_path / "kontor.toml"
    tls = '[operator]\ntls_certificate = "node.pem"\ntls_key = "node.key"'
    config.write_text(config.read_text().replace("[operator]", tls))
    nodes.start(config)
    assert run("catalog", "--config", config).err == "nothing is offered yet; see `kontor publish`\n"
    # another node's certificate proves nothing
    trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(str(tmp_path / "node.pem"))
    refused = run("catalog", "--config", config)
    assert refused.code == 1
    assert "certificate verify failed" in refused.err.lower()
    (tmp_path / "node.pem").unlink()
    assert "the certificate of the operator listener cannot be read" in run("catalog", "--config", config).err
