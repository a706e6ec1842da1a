"""Changed copies of frozen values: `replace` as `dataclasses` has it, at a third of the cost.

Each message makes several copies of a process with its two dozen fields; the library's own `replace` looks at the description of
every field each time. What does not live here: which change is lawful (`process.py` and its neighbours).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # the same signature, and the same checks of fields by name and type
    from dataclasses import replace
else:
    from dataclasses import fields
    from functools import cache
    from operator import attrgetter

    def replace(value, /, **changes):
        """A copy of `value`, a frozen dataclass with slots and without `__post_init__`, with `changes` in it.

        Raises: KeyError for a field that it does not have.
        """
        kind = type(value)
        values_of, slots = _description(kind)
        copied = object.__new__(kind)
        for put, old in zip(slots.values(), values_of(value), strict=True):
            put(copied, old)
        for name, new in changes.items():
            slots[name](copied, new)
        return copied

    @cache
    def _description(kind):
        """What reads all fields of `kind` at once, and what writes each of them into a copy that nobody has seen yet."""
        assert not hasattr(kind, "__post_init__")
        names = [field.name for field in fields(kind)]
        return attrgetter(*names), {name: getattr(kind, name).__set__ for name in names}


__all__ = ["replace"]
