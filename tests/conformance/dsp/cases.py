"""What the kit's 65 tests are called, and what the connector under test has to do by itself in each: plain data.

The kit plays one party; ours must move without being told, differently in each test. The product can do that for anyone
(automation rules, keyed by dataset or agreement), so the whole behaviour stands in the tables below.
A step `OFFERED>accept` reads: when the state OFFERED is entered, accept; `REQUESTED#2>terminate`: at its second entry only.
What has no step waits for the kit. How rules are spelled in the operator API is `setup.py`'s business.

Source: Dataspace Protocol Technology Compatibility Kit 1.0.0-RC6, the tests' own step tables.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

from tests.conformance.nodes import Ports

PARTICIPANT = "cut"  # the connector under test: its name in URLs
PARTICIPANT_ID = "urn:kontor:cut"
KIT_AUTHORIZATION = "Bearer tck"  # what the kit sends, verbatim, with every request
KIT_PARTICIPANT = "TCK_PARTICIPANT"  # what the kit calls itself, not configurable
FORMAT = "HttpData-PULL"

_STEP = re.compile(r"(?P<state>[A-Z]+)(?:#(?P<nth>\d))?>(?P<act>[a-z]+)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that our side does by itself."""

    state: str
    act: str
    nth: int | None
    """The how-maniest entry into the state; None for every entry."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test of the kit in which a process runs."""

    key: str
    """The kit's name as its properties spell it, such as `CN_C_01_02`."""
    process: str
    """`negotiation` or `transfer`."""
    role: str
    """Our role: `provider` or `consumer`."""
    subject: str
    """The dataset of a negotiation, the agreement of a transfer: our rules know the test by it."""
    steps: tuple[Step, ...]


_NEGOTIATIONS_AS_PROVIDER = {
    "01_01": "REQUESTED>offer",
    "01_02": "REQUESTED#1>offer REQUESTED#2>terminate",
    "01_03": "REQUESTED>offer ACCEPTED>agree VERIFIED>finalize",
    "01_04": "REQUESTED>agree VERIFIED>finalize",
    "02_01": "REQUESTED>terminate",
    "02_02": "",
    "02_03": "REQUESTED>agree",
    "02_04": "REQUESTED>offer",
    "02_05": "REQUESTED>offer OFFERED>terminate",
    "02_06": "REQUESTED>offer ACCEPTED>terminate",
    "02_07": "REQUESTED>agree VERIFIED>terminate",
    "03_01": "REQUESTED>agree VERIFIED>finalize",
    "03_02": "REQUESTED>offer",
    "03_03": "REQUESTED>offer",
    "03_04": "REQUESTED#1>offer",
}
# the first request of a consumer is started by the kit's call to the adapter
_NEGOTIATIONS_AS_CONSUMER = {
    "01_01": "OFFERED>accept AGREED>verify",
    "01_02": "OFFERED>counter",
    "01_03": "OFFERED>terminate",
    "01_04": "AGREED>verify",
    "02_01": "",
    "02_02": "REQUESTED>terminate",
    "02_03": "AGREED>terminate",
    "02_04": "",
    "02_05": "OFFERED>accept",
    "02_06": "AGREED>verify",
    "03_01": "",
    "03_02": "",
    "03_03": "",
    "03_04": "OFFERED>accept",
    "03_05": "OFFERED>accept",
    "03_06": "OFFERED>accept",
}
_TRANSFERS_AS_PROVIDER = {
    "01_01": "REQUESTED>start STARTED>terminate",
    "01_02": "REQUESTED>start STARTED>complete",
    "01_03": "REQUESTED>start STARTED>suspend SUSPENDED>terminate",
    "01_04": "REQUESTED>start STARTED#1>suspend SUSPENDED>start STARTED#2>complete",
    "01_05": "REQUESTED>terminate",
    "02_01": "REQUESTED>start",
    "02_02": "REQUESTED>start",
    "02_03": "REQUESTED>start",
    "02_05": "",
    "03_01": "",
    "03_02": "",
    "03_03": "REQUESTED>start",
    "03_04": "REQUESTED>start",
    "03_05": "REQUESTED>start",
    "03_06": "REQUESTED>start",
}
_TRANSFERS_AS_CONSUMER = {
    "01_01": "",
    "01_02": "",
    "01_03": "",
    "01_04": "",
    "01_05": "",
    "02_01": "STARTED>terminate",
    "02_02": "STARTED>complete",
    "02_03": "STARTED>suspend SUSPENDED>terminate",
    "02_05": "REQUESTED>terminate",
    "03_01": "",
    "03_02": "",
    "03_03": "",
    "03_04": "",
    "03_05": "",
    "03_06": "",
}
# 02_04 of both transfer tables is switched off in the kit itself
_TABLES: tuple[tuple[str, str, str, str, Mapping[str, str]], ...] = (
    ("CN", "negotiation", "provider", "ACN", _NEGOTIATIONS_AS_PROVIDER),
    ("CN_C", "negotiation", "consumer", "ACNC", _NEGOTIATIONS_AS_CONSUMER),
    ("TP", "transfer", "provider", "ATP", _TRANSFERS_AS_PROVIDER),
    ("TP_C", "transfer", "consumer", "ATPC", _TRANSFERS_AS_CONSUMER),
)

CATALOGUED = ("CAT0101", "CAT0102")  # datasets that must be in the catalogue
ABSENT = "CAT0103"  # and one that must not
READINGS = ("MET_01_01", "CAT_01_01", "CAT_01_02", "CAT_01_03")  # the tests without a process


def _cases() -> Iterator[Case]:
    for prefix, process, role, letters, table in _TABLES:
        for number, steps in table.items():
            read = tuple(
                Step(state=found["state"], act=found["act"], nth=int(found["nth"]) if found["nth"] else None)
                for found in map(_STEP.fullmatch, steps.split())
                if found
            )
            subject = letters + number.replace("_", "")
            yield Case(key=f"{prefix}_{number}", process=process, role=role, subject=subject, steps=read)


CASES = tuple(_cases())
EXPECTED = READINGS + tuple(case.key for case in CASES)


def offer_id(dataset: str) -> str:
    """The id of the one offer of a dataset of ours; that of CN_01_02 is fixed in the kit, the others follow it."""
    return f"CD123:{dataset}:456"


def properties(*, self_test: bool) -> dict[str, str]:
    """The kit's properties that name datasets, offers, agreements and formats, one set for each test."""
    found = {f"CAT_{dataset[3:5]}_{dataset[5:]}_DATASETID": dataset for dataset in (*CATALOGUED, ABSENT)}
    for case in CASES:
        if case.process == "transfer":
            found |= {f"{case.key}_AGREEMENTID": case.subject, f"{case.key}_FORMAT": FORMAT}
        else:
            found[f"{case.key}_DATASETID"] = case.subject
            if case.role == "provider":
                # the connector inside the kit, which it can test instead of ours, knows offers by this prefix
                found[f"{case.key}_OFFERID"] = ("offer:" if self_test else "") + offer_id(case.subject)
    return found


def general(
    *, port: int, public_url: str, participant: str, adapter: str, authorization: str, self_test: bool
) -> dict[str, str]:
    """The kit's properties that do not depend on a test: itself, the connector under test, how long it waits."""
    own = f"http://127.0.0.1:{port}"
    found = {
        "dataspacetck.debug": "true",
        "dataspacetck.ansi": "false",
        "dataspacetck.launcher": "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(port),
        "dataspacetck.callback.address": own,
        "dataspacetck.dsp.default.wait": "15",  # seconds
        "dataspacetck.dsp.thread.pool": "10",
        "dataspacetck.dsp.local.connector": str(self_test).lower(),
    }
    connector = "dataspacetck.dsp.connector"
    return found | {
        f"{connector}.agent.id": participant,
        f"{connector}.http.base.url": public_url,
        f"{connector}.http.url": f"{public_url}/dsp/2025-1",
        f"{connector}.negotiation.initiate.url": f"{adapter}/negotiations",
        f"{connector}.transfer.initiate.url": f"{adapter}/transfers",
        f"{connector}.http.headers.authorization": authorization,
    }


def settings_file(ports: Ports) -> str:
    """The settings of the node, as TOML: one participant, a static token for the kit, plain HTTP on loopback."""
    return f"""{ports.common()}\
[participants.{PARTICIPANT}]
id = "{PARTICIPANT_ID}"
unsafe_static_tokens = [{{ id = "{KIT_PARTICIPANT}", theirs = "{KIT_AUTHORIZATION}", ours = "{KIT_AUTHORIZATION}" }}]
"""
