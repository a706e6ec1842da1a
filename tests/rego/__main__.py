"""`python -m tests.rego [--samples N]`: random policies as Rego, asked of an engine of that language, beside our engine and Cedar.

The engine is fetched into a folder that is removed afterwards. Exit code 1 when one answer differs where nothing was lost, or
when an export permits what we do not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from connector.cli.terms import vocabulary
from connector.odrl import jsonld
from connector.odrl.export import rego
from connector.odrl.export.logic import context, logic
from connector.odrl.truth import Request, World
from tests.odrl import strategies
from tests.odrl.test_export import permitted, permitted_by_cedar


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.rego", description=__doc__)
    parser.add_argument("--samples", type=int, default=400)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(__file__).parent / "requirements.txt"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "--target", folder, "-r", wanted], check=True)
        sys.path.insert(0, folder)
        found = _compared(samples)
    lossless = sum(count for (_, is_lossless), count in found.items() if is_lossless)
    permits = sum(count for (is_permitted, _), count in found.items() if is_permitted)
    print(f"{sum(found.values())} samples agree: {lossless} without loss, {permits} permitted")
    return 0


def _compared(samples: int) -> Counter[tuple[bool, bool]]:
    import regorus  # type: ignore[import-not-found]

    words = vocabulary()
    seen: Counter[tuple[bool, bool]] = Counter()

    @given(tree=strategies.policies(), request=strategies.requests(), world=strategies.worlds())
    @settings(max_examples=samples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def compare(tree: dict[str, Any], request: Request, world: World) -> None:
        policy = jsonld.read(tree)
        found = logic(policy, words)
        engine = regorus.Engine()
        engine.add_policy("policy.rego", rego.write(found))
        action = words.action(request.action)
        told = {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in context(found, request, world).items()
        }
        asked = {"action": action.name if action else request.action, "context": told}
        engine.set_input_json(json.dumps({**asked, "principal": request.party or "", "resource": request.target or ""}))
        theirs = engine.eval_rule("data.kontor.policy.allow")
        ours = permitted(policy, request, world, words)
        is_lossless = not any(one.severity == "error" for one in found.lost)
        assert ours or not theirs, "an export permits what we do not"
        assert theirs is ours or not is_lossless, "an export without loss answers otherwise"
        assert theirs is permitted_by_cedar(found, request, world, words), "Rego and Cedar differ"
        seen[ours, is_lossless] += 1

    compare()
    return seen


if __name__ == "__main__":
    sys.exit(main())
