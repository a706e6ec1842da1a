"""Run the kit and tell the verdict; the last line reads `65 passed, 0 failed`.

    python -m tests.conformance.dsp                     against a freshly started node
    python -m tests.conformance.dsp --only 'TransferProcess.*Test'
    python -m tests.conformance.dsp --self-test         the kit against the connector inside it: are Java and jars in order?

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
from tests.conformance.dsp import adapter, cases, setup
from tests.conformance.dsp.cases import KIT_AUTHORIZATION, PARTICIPANT, PARTICIPANT_ID
from tests.conformance.nodes import Node, NodeError, free_port

_ALL = ".*Test"
_KIT = kit.Kit(pom=Path(__file__).with_name("pom.xml"), system="dsp-system")
_TESTS = "org.eclipse.dataspacetck.dsp.verification"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.dsp", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=_ALL, metavar="REGEX", help="run the test classes whose full name matches")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep settings, database, logs and report in this new folder")
    parser.add_argument("--limit", type=float, default=900, metavar="SECONDS", help="stop the kit after this time (900)")
    parser.add_argument("--self-test", action="store_true", help="the kit tests the connector inside itself, not ours")
    asked = parser.parse_args(arguments)
    if asked.keep and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"`{asked.keep}` is not empty; name a new folder")

    # whoever stops this program stops the node too: leave through the exit stacks
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        folder: Path = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kontor-conformance-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            print(f"Dataspace Protocol TCK {_KIT.collect()}", flush=True)
            found, tail = _run(folder.resolve(), asked)
        except (kit.KitError, NodeError) as error:
            print(error)
            print(f"0 passed, {len(cases.EXPECTED)} failed")
            return 1
    return kit.tell(found, kit.missing(found, cases.EXPECTED) if asked.only == _ALL else [], tail)


def _run(folder: Path, asked: argparse.Namespace) -> tuple[list[kit.Verdict], str]:
    """What the kit found, and the end of the node's log."""
    with contextlib.ExitStack() as stack:
        node = None
        public_url = initiate = "http://127.0.0.1"  # never called when the kit tests itself
        if not asked.self_test:
            node = stack.enter_context(Node(folder, PARTICIPANT, cases.settings_file))
            setup.prepare(node)
            public_url, initiate = node.public_url, stack.enter_context(adapter.serving(node))
        settings = cases.properties(self_test=asked.self_test) | cases.general(
            port=free_port(),
            public_url=public_url,
            participant=PARTICIPANT_ID,
            adapter=initiate,
            authorization=KIT_AUTHORIZATION,
            self_test=asked.self_test,
        )
        found = _KIT.run(settings, packages=[_TESTS], only=asked.only, limit_s=asked.limit, folder=folder)
        return found, node.log_tail() if node else ""


if __name__ == "__main__":
    sys.exit(main())
