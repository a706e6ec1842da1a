"""How many examples a law is tried with: few in the suite, so many times as `KONTOR_EXAMPLES` says where time is not short.

`.ci/run` tries all laws at length: `KONTOR_EXAMPLES=10 .venv/bin/python -m pytest -q -m hypothesis`.
"""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("KONTOR_EXAMPLES", "1"))


def examples(in_the_suite: int) -> int:
    """The number of examples for a law that the suite tries with `in_the_suite` of them."""
    return in_the_suite * _TIMES
