"""Run the kit for each role and tell the verdicts; the last lines read `holder 40 passed, 0 failed` and so on.

    python -m tests.conformance.dcp                     every role, each against a freshly started node
    python -m tests.conformance.dcp holder verifier     some of them
    python -m tests.conformance.dcp holder --only '.*CredentialOffer.*'
    python -m tests.conformance.dcp --strict            without leaving out any check: what the kit gets wrong shows

Exit code 0 only when every test ran and passed. Needs Java 17 or newer and Maven.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.conformance import kit
from tests.conformance.dcp import excused
from tests.conformance.dcp.roles import HOST, ROLES, Role, general
from tests.conformance.nodes import Node, NodeError, free_port

_ALL = ".*Test"
_KIT = kit.Kit(pom=Path(__file__).with_name("pom.xml"), system="dcp-system")


def main(arguments: list[str] | None = None) -> int:
    known = [role.name for role in ROLES]
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.dcp", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=f"one or several of {', '.join(known)}; all if left out")
    parser.add_argument("--only", default=_ALL, metavar="REGEX", help="run the test classes whose full name matches")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep settings, databases, logs and reports in this new folder"
    )
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="stop the kit after this time a role (600)")
    parser.add_argument("--strict", action="store_true", help="leave out no check: the node is started as users start it")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.roles) - {*known}:
        parser.error(f"there is no role `{unknown.pop()}`; there are {', '.join(known)}")
    if asked.keep and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"`{asked.keep}` is not empty; name a new folder")

    # whoever stops this program stops the node too: leave through the exit stacks
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [role for role in ROLES if not asked.roles or role.name in asked.roles]
    sums: list[str] = []
    code = 0
    with contextlib.ExitStack() as stack:
        folder: Path = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kontor-conformance-")))
        try:
            print(f"Decentralized Claims Protocol TCK {_KIT.collect()}", flush=True)
            for name in () if asked.strict else excused.names():
                print(f"left out: {name}", flush=True)
        except kit.KitError as error:
            print(error)
            for role in wanted:
                print(f"{role.name} 0 passed, {role.tests} failed")
            return 1
        for role in wanted:
            passed, failed, words = _run(role, folder.resolve() / role.name, asked)
            print(words, flush=True)
            sums.append(f"{role.name} {passed} passed, {failed} failed")
            code |= 0 if passed and not failed else 1
    print("\n".join(sums))
    return code


def _run(role: Role, folder: Path, asked: argparse.Namespace) -> tuple[int, int, str]:
    """How many tests passed and failed, and a line for each."""
    folder.mkdir(parents=True)
    port = free_port()
    module = "tests.conformance.dcp.node" if role.reads_credentials and not asked.strict else "connector.cli"
    try:
        with Node(folder, role.participant, lambda ports: role.settings(ports, port), module=module, host=HOST) as node:
            role.prepare(node, port)
            settings = general(port) | role.properties(role.did(node.port), node.public_url)
            found = _KIT.run(settings, packages=role.packages, only=asked.only, limit_s=asked.limit, folder=folder)
            tail = node.log_tail()
    except (kit.KitError, NodeError) as error:
        return 0, role.tests, str(error)
    lines = [f"{'passed' if one.passed else 'FAILED'}  {one.title}" for one in found]
    lines += [f"        {one.title}: {one.reason}" for one in found if not one.passed]
    passed = sum(one.passed for one in found)
    failed = len(found) - passed
    if asked.only == _ALL and len(found) < role.tests:
        lines.append(f"{role.tests - len(found)} of {role.tests} tests did not run")
        failed += role.tests - len(found)
    if failed:
        lines.append(f"the node's log ends so:\n{tail}")
    return passed, failed, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
