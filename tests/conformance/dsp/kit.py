"""The official kit: collecting its jars, running it, reading what it found.

The kit is a set of JUnit tests. It is collected by Maven from the pom beside this file and run by JUnit's console launcher
in a process of its own; its verdicts are read from JUnit's XML report. What the tests need is `cases.py`'s business.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

_POM = Path(__file__).with_name("pom.xml")
_JARS = _POM.parent / "target" / "kit"
_TESTS = "org.eclipse.dataspacetck.dsp.verification"
_LAUNCHER = "org.junit.platform.console.ConsoleLauncher"
_TITLE = re.compile(r"display-name: (?P<title>(?P<key>[A-Z_]+:\d\d-\d\d)?.*)")


class KitError(Exception):
    """The kit could not be collected or run; the text says what is missing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the kit says about one of its tests."""

    key: str
    title: str
    passed: bool
    reason: str
    """Empty when it passed."""


def collect() -> str:
    """The version of the kit, whose jars are on this machine afterwards.

    Raises: KitError when Java or Maven is missing or the jars cannot be had.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise KitError(f"`{program}` is not installed; the kit needs Java 17 or newer and Maven")
    if not (version := _version()):
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"], capture_output=True, text=True, check=False
        )
        if done.returncode or not (version := _version()):
            raise KitError(f"Maven could not collect the kit:\n{(done.stdout + done.stderr)[-3000:]}")
    return version


def _version() -> str:
    wanted = re.search(r"<kit.version>(.+)</kit.version>", _POM.read_text())
    found = [path.stem.removeprefix("dsp-system-") for path in _JARS.glob("dsp-system-*.jar")]
    return found[0] if wanted and found == [wanted[1]] else ""


def run(settings: Mapping[str, str], *, only: str, limit_s: float, folder: Path) -> list[Verdict]:
    """The verdict on each test that ran; the kit's output and report stay in `folder`.

    A test that the kit itself has switched off has no verdict. When `limit_s` is over the kit is stopped, and what it had
    not reported by then has no verdict either.

    Raises: KitError when it left no report.
    """
    arguments = folder / "java.args"
    arguments.write_text("\n".join(["-cp", _quoted(f"{_JARS}/*"), *(_quoted(f"-D{k}={v}") for k, v in settings.items())]))
    command = ["java", f"@{arguments}", _LAUNCHER, "execute", "--select-package", _TESTS, "--include-classname", only]
    command += ["--reports-dir", str(folder), "--details=verbose", "--disable-banner", "--disable-ansi-colors"]
    output = folder / "kit.log"
    with output.open("wb") as log:
        try:
            subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"the kit was stopped after {limit_s:.0f} s", flush=True)
    report = folder / "TEST-junit-jupiter.xml"
    if not report.exists():
        raise KitError(f"the kit left no report; its last words:\n{output.read_text(errors='replace')[-3000:]}")
    return verdicts(ET.parse(report).getroot())


def verdicts(report: ET.Element) -> list[Verdict]:
    """The verdicts in JUnit's report, by test."""
    found = []
    for case in report.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        bad = next((part for part in case if part.tag in ("failure", "error")), None)
        words = "" if bad is None else (bad.get("message") or (bad.text or "").strip().partition("\n")[0] or "no reason given")
        title = _TITLE.search("".join(case.itertext()))
        name = case.get("name", "").removesuffix("()")
        # CN_C_01_02 for the test that is shown as `CN_C:01-02: ...`
        key = re.sub("[:-]", "_", title["key"]) if title and title["key"] else name
        found.append(Verdict(key=key, title=title["title"] if title else name, passed=bad is None, reason=words))
    return sorted(found, key=lambda verdict: verdict.key)


def _quoted(text: str) -> str:
    """`text` as one argument of a Java argument file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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


def missing(found: Sequence[Verdict], expected: Sequence[str]) -> list[str]:
    """The names of the tests that should have run and did not."""
    ran = {verdict.key for verdict in found}
    return [key for key in expected if key not in ran]
