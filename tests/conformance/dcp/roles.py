"""What the kit needs of the node for each role: settings, and what an operator tells it. Public features alone.

The kit plays all other roles, at did:web identifiers of its own port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.conformance.nodes import Node, Ports

_TESTS: Final = "org.eclipse.dataspacetck.dcp.verification"
_CLIENT, _SECRET = "tck", "the kit's secret"
_CORRELATION: Final = "tck-correlation"
_TYPES: Final = ("MembershipCredential", "SensitiveDataCredential")
_SCOPES: Final = tuple(f"org.eclipse.dspace.dcp.vc.type:{type_}" for type_ in _TYPES)
HOST: Final = "localhost"  # did:web has no IP addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One run of the kit."""

    name: str
    participant: str
    """Who plays it: the last part of its DID."""
    packages: tuple[str, ...]
    tests: int
    """How many run; those that the kit itself has switched off are not counted."""
    settings: Callable[[Ports, int], str]
    """The settings of the node, for the kit at a port."""
    prepare: Callable[[Node, int], None]
    """What an operator tells the node before."""
    properties: Callable[[str, str], dict[str, str]]
    """What the kit is told of the node, by its DID and its address."""
    reads_credentials: bool = True
    """Whether it reads credentials of the kit's making; one that does not is started as users start it."""

    def did(self, port: int) -> str:
        """The DID of the participant under test, on a node at `port`."""
        return f"did:web:{HOST}%3A{port}:{self.participant}"


def kit_did(port: int, role: str) -> str:
    """The DID of a role that the kit plays."""
    return f"did:web:{HOST}%3A{port}:{role}"


def general(port: int) -> dict[str, str]:
    """The kit's properties that no role changes."""
    return {
        "dataspacetck.debug": "true",
        "dataspacetck.ansi": "false",
        "dataspacetck.launcher": "org.eclipse.dataspacetck.dcp.system.DcpSystemLauncher",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(port),
        "dataspacetck.callback.address": f"http://{HOST}:{port}",
        "dataspacetck.credentials.correlation.id": _CORRELATION,
        "dataspacetck.revocation.type": "bitstringstatuslist",
    }


def _participant(name: str, ports: Ports, port: int, more: str) -> str:
    """The settings of a node whose participant `name` believes the kit's issuer."""
    return f"""{ports.common(HOST)}\
[participants.{name}]
id = "did:web:{HOST}%3A{ports.public}:{name}"

[participants.{name}.identity]
{more}
[[participants.{name}.identity.trusted_issuers]]
id = "{kit_did(port, "issuer")}"
types = {list(_TYPES)}
""".replace("'", '"')


def _holder_settings(ports: Ports, port: int) -> str:
    digest = hashlib.sha256(_SECRET.encode()).hexdigest()
    # asked for more than was granted, this release wants 4xx, as DCP 1.0 says; later ones want less to be shown, as 1.0.1 does
    more = f'beyond_grant = "refuse"\ngrants = {list(_SCOPES)}\nclients = [{{ id = "{_CLIENT}", sha256 = "{digest}" }}]\n'
    return _participant("holder", ports, port, more)


def _holder_prepare(node: Node, port: int) -> None:
    """A standing request, as `kontor credentials request` makes one, so that what the kit delivers was asked for."""
    wanted = {"issuer": kit_did(port, "issuer"), "types": list(_TYPES), "id": _CORRELATION}
    node.ask("POST", "/credential-requests", wanted)


def _holder_properties(did: str, url: str) -> dict[str, str]:
    return {
        "dataspacetck.did.holder": did,
        "dataspacetck.sts.url": f"{url}/sts",
        "dataspacetck.sts.client.id": _CLIENT,
        "dataspacetck.sts.client.secret": _SECRET,
    }


def _verifier_settings(ports: Ports, port: int) -> str:
    # the same holder shows something else in each test, so nothing that it has shown may count for the next
    kept = "[identity]\nkeep_presentations_s = 0\nkeep_status_lists_s = 0\n\n"
    return kept + _participant("verifier", ports, port, f"scopes = {[f'{_SCOPES[0]}:read']}\n")


def _verifier_properties(did: str, url: str) -> dict[str, str]:
    # the ordinary catalogue request of the Dataspace Protocol is what makes the node prove its sender
    return {"dataspacetck.did.verifier": did, "dataspacetck.vpp.trigger.endpoint": f"{url}/dsp/2025-1/catalog/request"}


def _issuer_settings(ports: Ports, port: int) -> str:
    # two settings of a type of credential: this release takes deliveries of no other `format` than its own, and reads a credential
    # with one status entry alone
    kinds = [
        f'''\
[[authority.credentials]]
type = "{type_}"
format = "VC1_0_JWT"
status = ["revocation"]
claims = {{ memberOf = "tck" }}

'''
        for type_ in _TYPES
    ]
    return ports.common(HOST).replace("[node]\n", '[node]\nroles = ["authority"]\n') + "".join(kinds)


def _issuer_prepare(node: Node, port: int) -> None:
    """The kit's holder is a member of the space."""
    node.ask_node("POST", "/authority/members", {"id": kit_did(port, "holder")})


def _issuer_properties(did: str, url: str) -> dict[str, str]:
    return {"dataspacetck.did.issuer": did}


def _nothing(node: Node, port: int) -> None:
    """The settings are all it needs."""


ROLES: Final = (
    Role(
        name="holder",
        participant="holder",
        packages=(f"{_TESTS}.presentation.cs", f"{_TESTS}.issuance.cs"),
        tests=40,
        settings=_holder_settings,
        prepare=_holder_prepare,
        properties=_holder_properties,
    ),
    Role(
        name="issuer",
        participant="authority",
        packages=(f"{_TESTS}.issuance.issuer",),
        tests=25,
        settings=_issuer_settings,
        prepare=_issuer_prepare,
        properties=_issuer_properties,
        reads_credentials=False,
    ),
    Role(
        name="verifier",
        participant="verifier",
        packages=(f"{_TESTS}.presentation.verifier",),
        tests=20,
        settings=_verifier_settings,
        prepare=_nothing,
        properties=_verifier_properties,
    ),
)
