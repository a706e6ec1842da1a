"""`kontor describe` and `kontor lint`: the draft of a self-description from a file, and what a description still lacks.

`kontor describe participant` does the same for the participant itself, and publishes what its operator has written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.cli.texts import json_object, read
from connector.errors import BadMessage, CallerError, ConfigurationError

if TYPE_CHECKING:
    from connector import rdf
    from connector.api.offerings import Asset
    from connector.describe.document import Description

_YAML = (".yaml", ".yml")
_PARTICIPANT = "participant"


def register(app: typer.Typer) -> None:
    """Add `describe` and `lint` to the commands."""
    command(app, "describe", describe, example="kontor describe weather.csv --to weather.yaml")
    command(app, "lint", lint, example="kontor lint weather.yaml --profile dcat-ap")


def describe(
    access: Access,
    out: Output,
    file: Annotated[
        Path, typer.Argument(help="The file to look at, read twice and never held whole; or `participant`, for who we are.")
    ],
    language: Annotated[str, typer.Option(help="Language of what you will write, as a tag such as `en` or `zh`.")] = "en",
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of the file's text, such as `gb18030`; UTF-8 and marked UTF-16 are known by themselves."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write the draft into this new file; printed when left out.")] = None,
    publish: Annotated[
        Path | None, typer.Option(help="With `participant`: publish what this document says; signed where there is a wallet.")
    ] = None,
) -> None:
    """Look at a file and print the draft of its description: what can be detected filled in, the rest as comments."""
    if str(file) == _PARTICIPANT:
        _describe_participant(access, out, language, to, publish)
        return
    if publish is not None:
        raise typer.BadParameter("a file is published by `kontor publish FILE --description X.yaml`", param_hint="--publish")
    from connector.describe import detect, draft, reading

    found = detect.look(file, encoding)
    text = draft.text(found, language)
    # a draft that could not be read back would be no help
    reading.read(text, "draft")
    if to is not None:
        _write(text, to)
    out.show(draft.tree(found), lambda: print(text if to is None else f"{to}\n", end=""))
    if found.note:
        note(found.note)


def _describe_participant(access: Access, out: Output, language: str, to: Path | None, publish: Path | None) -> None:
    from connector.api.participants import SelfDescription
    from connector.client import describing
    from connector.describe import participant

    with access.open() as (node, me):
        if publish is None:
            who = node.send(me.context())
            text = participant.draft(who.id, who.title or who.name, language=language)
            if to is not None:
                _write(text, to)
            tree = {"participant": who.id, "title": who.title, "address": who.address}
            out.show(tree, lambda: print(text if to is None else f"{to}\n", end=""))
            return
        it = participant.read(read(publish), str(publish))
        wanted = SelfDescription(description=participant.members(it), attestations=it.attestations)
        try:
            found = node.send(describing.put_self_description(me.participant, wanted))
        except CallerError as fault:
            # the node names the word; whoever wrote the document wants its line
            raise type(fault)(fault.what, where=it.places.get(fault.where, fault.where), mend=fault.mend) from fault
    proof = "signed as a credential" if found.credential else "not signed: the participant has no wallet here"
    out.lines(
        found.model_dump(mode="json"),
        f"published  {found.address}",
        f"proof      {proof}",
        f"attested   {', '.join(it.attestations) or 'nothing by others'}",
    )


def _write(text: str, path: Path) -> None:
    try:
        # what a person wrote into an earlier draft is never overwritten
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as fault:
        raise ConfigurationError("there is such a file already", where=str(path), mend="name a new file") from fault
    except OSError as fault:
        raise ConfigurationError(
            f"the draft cannot be written: {fault.strerror}", where=str(path), mend="name a new file"
        ) from fault


def lint(
    out: Output,
    description: Annotated[Path, typer.Argument(help="A description in YAML, or a dataset as JSON-LD or Turtle.")],
    profile: Annotated[
        Literal["dcat-ap", "tds", "data-act"] | None, typer.Option(help="What to ask for beyond the rules that hold for all.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
) -> None:
    """Check a description and say what is wrong or missing; exit code 1 when there is an error."""
    rows = _lines(description, profile)
    errors = sum(1 for row in rows if row["severity"] == "error" or strict)
    verdict = f"{errors} to mend, {len(rows) - errors} to consider" if rows else "nothing to mend"
    tree = {"description": str(description), "profile": profile, "ok": errors == 0, "faults": rows}
    shown = [f"{row['severity']}: {row['message']} at `{row['where']}`; {row['mend']}" for row in rows]
    out.lines(tree, *shown, f"{description}: {verdict}")
    if errors:
        raise typer.Exit(1)


def _lines(path: Path, profile: str | None) -> list[dict[str, str]]:
    """What is wrong with the description in a file: faults of its text first, then the rules that it breaks."""
    from connector.describe import check, members, participant, reading

    text = read(path)
    places: Mapping[str, str] = {}
    rows: list[dict[str, str]] = []
    if path.suffix in _YAML:
        is_participant = participant.is_one(text)
        if is_participant and profile is not None:
            raise CallerError("a profile is asked of a data product", where="--profile", mend="leave it out")
        description, faults = participant.parsed(text, str(path)) if is_participant else reading.parsed(text, str(path))
        rows += [_row("", "error", fault.what, fault.where, fault.mend) for fault in faults]
        places = description.places
        if faults and not places:
            return rows
        if isinstance(description, participant.Organisation):
            graph, profile = _graph(participant.members(description), path), participant.PROFILE
        else:
            graph = _graph(members.draft(description), path)
    else:
        graph = _parsed(text, path)
    for fault in check.faults(graph, profile):
        # a word that could not be read was told already; it is not missing
        if not (rows and fault.word in places and fault.rule.endswith("-missing")):
            where = places.get(fault.word) or (f"{path}" if fault.focus in ("", members.DRAFT_ID) else fault.focus)
            rows.append(_row(fault.rule, "error" if fault.is_error else "warning", fault.message, where, fault.mend))
    return rows


def _row(rule: str, severity: str, message: str, where: str, mend: str) -> dict[str, str]:
    return {"rule": rule, "severity": severity, "message": message, "where": where, "mend": mend}


def _graph(tree: dict[str, Any], path: Path) -> rdf.Graph:
    from connector import rdf

    return rdf.from_json_ld(tree, str(path))


def _parsed(text: str, path: Path) -> rdf.Graph:
    from connector import rdf

    is_json = text.lstrip().startswith("{")
    graph = _graph(_without_formats(json_object(text, path)), path) if is_json else rdf.parse(text, str(path))
    if not graph.typed("http://www.w3.org/ns/dcat#Dataset"):
        raise BadMessage(
            "there is no dataset", where=str(path), mend="describe a `dcat:Dataset`, or give the YAML the suffix `.yaml`"
        )
    return graph


def _without_formats(tree: Any) -> Any:
    """The document without names of transfer formats, such as `HttpData-PULL`, which are no IRIs and no part of a description."""
    if isinstance(tree, list):
        return [_without_formats(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {name: part for name, part in tree.items() if not (name == "format" and isinstance(part, str) and ":" not in part)}
    return {name: _without_formats(part) for name, part in kept.items()}


# --- for `kontor publish`


def is_document(text: str) -> bool:
    """Whether what stands behind `--description` names a document, and is not the description itself."""
    return text.endswith(_YAML) and "\n" not in text


def described(asset: Asset, path: Path) -> Asset:
    """The asset with what the description document in `path` says.

    Raises: ConfigurationError for the first fault of the document, or when it was made of other bytes than those of the source.
    """
    from connector.describe import check, members, reading

    it = reading.read(read(path), str(path))
    fault = next(
        (one for one in check.faults(_graph(members.draft(it), path)) if one.is_error and one.rule != "base#title-missing"),
        None,
    )
    if fault is not None:
        raise ConfigurationError(fault.message, where=it.places.get(fault.word, str(path)), mend=fault.mend)
    # a keyword of the command line stands beside those of the document
    it = replace(it, keywords=(*it.keywords, *(("", word) for word in asset.keywords)))
    properties = {**asset.properties, **members.members(it, asset.id)}
    own: dict[str, Any] = {"properties": properties, "title": _first(it.title) or asset.title}
    own["description"] = _first(it.description) or asset.description
    own["keywords"] = tuple(dict.fromkeys(word for _, word in it.keywords))
    own["media_type"] = it.media_type or asset.media_type
    if asset.source.type == "file" and asset.source.path is not None:
        _check_bytes(it, Path(asset.source.path))
    elif asset.source.type in ("http", "s3", "none"):
        own |= {"digest": it.sha256, "byte_size": it.byte_size}
    # checked anew: a document may say more than an asset can hold
    return type(asset).model_validate({**asset.model_dump(), **own})


def _first(texts: tuple[tuple[str, str], ...]) -> str:
    return texts[0][1] if texts else ""


def _check_bytes(it: Description, path: Path) -> None:
    from connector.describe import detect

    if it.sha256 is not None and detect.look(path).sha256 != it.sha256:
        where = it.places.get("sha256", str(path))
        raise ConfigurationError(
            f"the description was made of other bytes than those of `{path.name}`",
            where=where,
            mend="run `kontor describe` again",
        )
