"""An official kit: collecting its jars, running it, reading what it found, telling the verdict.

A kit is a set of JUnit tests. It is collected by Maven from a pom and run by JUnit's console launcher in a process of its own; its
verdicts are read from JUnit's XML report. What the tests of one kit need is the business of its folder.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """One kit: where it comes from."""

    pom: Path
    system: str
    """The name of the jar whose version is the kit's."""

    @property
    def _jars(self) -> Path:
        return self.pom.parent / "target" / "kit"

    def collect(self) -> str:
        """The version of the kit, whose jars are on this machine afterwards.

        Raises: KitError when Java or Maven is missing or the jars cannot be had.
        """
        for program in ("java", "mvn"):
            if shutil.which(program) is None:
                raise KitError(f"`{program}` is not installed; the kit needs Java 17 or newer and Maven")
        if not (version := self._version()):
            command = ["mvn", "-q", "-B", "-f", str(self.pom), "dependency:copy-dependencies"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or not (version := self._version()):
                raise KitError(f"Maven could not collect the kit:\n{(done.stdout + done.stderr)[-3000:]}")
        return version

    def _version(self) -> str:
        wanted = re.search(r"<kit.version>(.+)</kit.version>", self.pom.read_text())
        found = [path.stem.removeprefix(f"{self.system}-") for path in self._jars.glob(f"{self.system}-*.jar")]
        return found[0] if wanted and found == [wanted[1]] else ""

    def run(
        self, settings: Mapping[str, str], *, packages: Sequence[str], only: str, limit_s: float, folder: Path
    ) -> list[Verdict]:
        """The verdict on each test that ran; the kit's output and report stay in `folder`.

        A test that the kit itself has switched off has no verdict. When `limit_s` is over the kit is stopped, and what it had
        not reported by then has no verdict either.

        Raises: KitError when it left no report.
        """
        arguments = folder / "java.args"
        given = (_quoted(f"-D{k}={v}") for k, v in settings.items())
        arguments.write_text("\n".join(["-cp", _quoted(f"{self._jars}/*"), *given]))
        command = ["java", f"@{arguments}", _LAUNCHER, "execute", "--include-classname", only]
        command += [part for package in packages for part in ("--select-package", package)]
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


def missing(found: Sequence[Verdict], expected: Sequence[str]) -> list[str]:
    """The names of the tests that should have run and did not."""
    ran = {verdict.key for verdict in found}
    return [key for key in expected if key not in ran]


def tell(found: Sequence[Verdict], missing: Sequence[str], tail: str, name: str = "") -> int:
    """Prints a line for each test and the sum, which begins with `name`; gives back the exit code."""
    for verdict in found:
        print(f"{'passed' if verdict.passed else 'FAILED'}  {verdict.title}")
        if not verdict.passed:
            print(f"        {verdict.reason}")
    for key in missing:
        print(f"FAILED  {key}\n        did not run")
    passed = sum(verdict.passed for verdict in found)
    failed = len(found) - passed + len(missing)
    if failed and tail:
        print(f"the node's log ends so:\n{tail}")
    print(f"{name + ' ' if name else ''}{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1
