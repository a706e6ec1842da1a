"""Reading the settings from their TOML file, with errors that name file, line, setting and mend."""

from __future__ import annotations

import pathlib
import re
import tomllib

from pydantic import ValidationError

from connector.errors import ConfigurationError
from connector.settings.node import Node
from connector.settings.whole import Settings


def read(path: pathlib.Path) -> Settings:
    """The settings in the TOML file `path`; relative paths in it are relative to its folder.

    Raises: ConfigurationError with file, line, setting and mend; every fault of the file in one message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as fault:
        raise ConfigurationError(
            "there is no configuration file", where=str(path), mend="make one with `kontor init`, or name it with `--config`"
        ) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"the configuration cannot be read: {fault}", where=str(path)) from fault
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigurationError(
            f"this is no TOML: {fault}", where=str(path), mend="see https://toml.io for the format"
        ) from fault
    try:
        settings = Settings.model_validate(tree, context={"folder": path.parent})
    except ValidationError as fault:
        lines = [_fault(text, error["loc"], error["msg"], error["type"]) for error in fault.errors()]
        raise ConfigurationError(
            "; ".join(lines), where=str(path), mend="`kontor config explain` lists every setting"
        ) from fault
    return settings.model_copy(update={"node": _absolute(settings.node, path.parent)})


def located(fault: ConfigurationError, path: pathlib.Path) -> ConfigurationError:
    """The fault with file and line of the setting that its `where` names; as it is when that is no setting."""
    names = fault.where.partition(",")[0].split(".")
    if names[0] not in Settings.model_fields:
        return fault
    try:
        line = line_of(path.read_text(encoding="utf-8"), tuple(names))
    except OSError:
        line = None
    place = f"{path}: line {line}" if line else str(path)
    return type(fault)(fault.what, where=f"{place}: {fault.where}", mend=fault.mend)


def _absolute(node: Node, folder: pathlib.Path) -> Node:
    return node.model_copy(update={"data_dir": (folder / node.data_dir).resolve()})


def _fault(text: str, location: tuple[int | str, ...], message: str, kind: str) -> str:
    """One fault of the file: line, setting, what is wrong."""
    setting = ".".join(str(part) for part in location)
    line = line_of(text, location)
    said = "unknown setting" if kind == "extra_forbidden" else message.removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    return f"line {line}: `{setting}`: {said}" if line else f"`{setting}`: {said}"


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line on which the setting at `location` stands, or that of the nearest table around it; None when neither is there."""
    names = [str(part) for part in location if not isinstance(part, int)]
    table: list[str] = []
    best: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if header := re.match(r"\[\[?\s*([^\]]+?)\s*\]\]?", stripped):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            if names[: len(table)] == table:
                best = number
        elif assignment := re.match(r"([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            here = table + [part.strip("\"'") for part in assignment[1].split(".")]
            if names[: len(here)] == here:
                best = number
                if here == names:
                    return number
    return best
