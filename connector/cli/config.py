"""`kontor config check` and `kontor config explain`: is this file good, and what can be set at all.

The explanation is made of the models in `connector.settings`; nothing is written twice.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from connector.cli.command import ConfigFile, command
from connector.cli.output import Output, note
from connector.errors import ConfigurationError

_UNITS = {"_s": "seconds", "_bytes": "bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One setting, in words."""

    setting: str
    type: str
    unit: str | None
    default: str
    """As it would be written in the file; `required` where there is none."""
    text: str


def register(app: typer.Typer) -> None:
    """Add `config` to the commands."""
    group = typer.Typer(help="The configuration file.", no_args_is_help=True, rich_markup_mode=None)
    command(group, "check", check, example="kontor config check --config kontor.toml")
    command(group, "explain", explain, example="kontor config explain outbound")
    app.add_typer(group, name="config")


def check(out: Output, config: ConfigFile = Path("kontor.toml")) -> None:
    """Read the configuration and name every fault in it, with line, setting and mend; warn about what weakens a check."""
    from connector import app
    from connector.settings import located, read

    settings = read(config)
    try:
        app.check(settings)
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    unsafe = settings.unsafe()
    tree = {"config": str(config), "participants": list(settings.participants), "unsafe": list(unsafe)}
    for name in unsafe:
        note(f"warning: `{name}` weakens a check; use it in closed networks and development only")
    named = ", ".join(f"`{name}`" for name in settings.participants) or "no participant yet"
    out.lines(tree, f"{config} is good: {named}, reached at {settings.node.public_url}")


def explain(
    out: Output,
    setting: Annotated[str, typer.Argument(help="Only this setting or section, such as `outbound`; all when left out.")] = "",
) -> None:
    """List every setting with its type, unit, default, and when to change it."""
    from connector.settings import Settings

    found = [one for one in walk(Settings) if one.setting == setting or one.setting.startswith(setting and f"{setting}.")]
    if not found:
        raise typer.BadParameter(f"no setting `{setting}`; without an argument all are listed")
    lines = (f"{one.setting}  ({', '.join(filter(None, (one.type, one.unit, one.default)))})\n    {one.text}" for one in found)
    out.lines([asdict(one) for one in found], "\n".join(lines))


def walk(model: Any, prefix: str = "") -> Iterator[Explained]:
    """Every setting below a model of `connector.settings`, in the order of the file."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        below, many = _section(field.annotation)
        if below is not None and not many:
            yield from walk(below, f"{path}.")
            continue
        unit = next((word for end, word in _UNITS.items() if name.endswith(end)), None)
        default = "required" if field.is_required() else f"default {_written(field.get_default(call_default_factory=True))}"
        yield Explained(setting=path, type=_word(field.annotation), unit=unit, default=default, text=field.description or "")
        if below is not None:
            yield from walk(below, f"{path}.NAME." if many == "named" else f"{path}[].")


def _section(kind: Any) -> tuple[Any, Literal["", "named", "listed"]]:
    """The model behind an annotation, and whether it comes by name, in a list or alone."""
    if hasattr(kind, "model_fields"):
        return kind, ""
    inner = [argument for argument in typing.get_args(kind) if hasattr(argument, "model_fields")]
    if not inner:
        return None, ""
    return inner[0], "named" if typing.get_origin(kind) is dict else "listed"


def _word(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), [one for one in typing.get_args(kind) if one is not Ellipsis]
    if origin is Annotated:
        return _word(inner[0])
    if origin is Literal:
        return " | ".join(_written(one) for one in inner)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_word(one) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list of {_word(inner[0])}"
    if origin is dict:
        return "table"
    words = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}
    return words.get(kind, "table")


def _written(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str() | Path():
            return f'"{value}"'
        case Mapping():
            return "{}"
        case tuple() | list():
            return f"[{', '.join(_written(one) for one in value)}]"
        case _:
            return str(value)
