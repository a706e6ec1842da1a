"""A story told step by step: what was tried, what came of it, how long it took, and whether it was what was expected.

What lives here: `Story`, `expect`. What does not: any story (`demo.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from connector.cli.output import Output
from connector.errors import KontorError

T = TypeVar("T")


class Unexpected(Exception):
    """An expectation of the demo was not met."""


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, step by step, with the time it took."""

    is_told: bool
    began: float = field(default_factory=time.monotonic)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def step(self, title: str, work: Callable[[], tuple[T, str]]) -> T:
        """The result of `work`, told with its time; `work` gives back the result and what there is to say about it.

        Raises: Unexpected, told as well.
        """
        begin = time.monotonic()
        try:
            result, said = work()
        except (KontorError, Unexpected) as error:
            self._tell(title, str(error), begin, is_met=False)
            raise Unexpected(title) from error
        self._tell(title, said, begin, is_met=True)
        return result

    def end(self, out: Output) -> bool:
        """Tell the sum; True when every step went as expected."""
        total_ms = round((time.monotonic() - self.began) * 1000)
        is_met = all(step["is_met"] for step in self.steps)
        said = f"all {len(self.steps)} steps as expected" if is_met else "not as expected; the steps after it were not tried"
        out.lines({"steps": self.steps, "total_ms": total_ms, "is_met": is_met}, f"{total_ms:>6} ms  in all; {said}")
        return is_met

    def _tell(self, title: str, said: str, begin: float, *, is_met: bool) -> None:
        took_ms = round((time.monotonic() - begin) * 1000)
        self.steps.append({"step": title, "outcome": said, "ms": took_ms, "is_met": is_met})
        if self.is_told:
            indented = said.replace("\n", f"\n{'':11}")
            print(f"{took_ms:>6} ms  {title if is_met else f'FAILED: {title}'}\n{'':11}{indented}", flush=True)


def expect(is_met: bool, otherwise: str) -> None:
    """Returns when `is_met`. Raises: Unexpected, saying `otherwise`."""
    if not is_met:
        raise Unexpected(otherwise)
