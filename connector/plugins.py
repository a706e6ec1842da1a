"""Parts of others: entry points, loaded only when the settings name them; being installed is not consent.

    [project.entry-points."connector.operands"]
    riskScore = "acme.policy:risk_score"

What lives here: finding the ones that are named, and keeping their faults from those who call them. What they are for is the
business of the rooms that take them: `connector.operands` computes the values of left operands (`odrl/vocabulary.py`).
Source: Python Packaging User Guide, "Entry points specification".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from connector import observe
from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OPERANDS: Final = "connector.operands"
"""A function for each operand: `(request, world) -> value`, None when it is not known."""
GROUPS: Final = (OPERANDS,)


def load(names: tuple[str, ...]) -> dict[str, dict[str, Callable[..., Any]]]:
    """The named entry points by group and name; an empty group for each that nobody names.

    Raises: ConfigurationError when a name is not installed, is installed twice, cannot be imported, or is no function.
    """
    found: dict[str, dict[str, Callable[..., Any]]] = {group: {} for group in GROUPS}
    if not names:
        return found
    from importlib.metadata import entry_points

    installed = [point for group in GROUPS for point in entry_points(group=group)]
    for name in names:
        points = [point for point in installed if point.name == name]
        if not points:
            known = ", ".join(sorted({f"`{point.name}`" for point in installed})) or "none"
            raise ConfigurationError(
                f"no entry point `{name}` is installed", where="plugins", mend=f"install it; there are: {known}"
            )
        if len({(point.group, point.value) for point in points}) > 1:
            values = ", ".join(sorted(point.value for point in points))
            raise ConfigurationError(f"`{name}` is installed twice: {values}", where="plugins", mend="uninstall one of them")
        found[points[0].group][name] = _guarded(name, _imported(points[0]))
    return found


def _imported(point: EntryPoint) -> Callable[..., Any]:
    try:
        function = point.load()
    except Exception as fault:
        what = f"`{point.name}` cannot be imported: {type(fault).__name__}: {fault}"
        raise ConfigurationError(what, where="plugins", mend=f"mend `{point.value}`, or remove the name") from fault
    if not callable(function):
        raise ConfigurationError(f"`{point.name}` is no function", where="plugins", mend=f"look at `{point.value}`")
    return function  # type: ignore[no-any-return]


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; when it fails nothing is known, which permits nothing, and the log says so."""

    def call(*given: Any) -> Any:
        try:
            return function(*given)
        except Exception as fault:  # noqa: BLE001 - whatever a part of others does, the decision goes on without its value
            observe.error("plugin.failed", plugin=name, cause=f"{type(fault).__name__}: {fault}")
            return None

    return call
