"""`kontor publish`: a file, a folder or an upstream becomes a dataset with an offer."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connector.cli import describe
from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import ConfigurationError, Conflict, NotFound

_STORES = {"s3": "s3", "azure": "azure", "gs": "gcs"}
LoginType = Literal["basic", "bearer", "oauth2", "certificate"]

if TYPE_CHECKING:
    from connector.api.offerings import Asset, ContractDefinition
    from connector.api.sources import AssetSource, Passes
    from connector.client import Calls, Client


def register(app: typer.Typer) -> None:
    """Add `publish` to the commands."""
    example = 'kontor publish weather.csv --title "Hourly weather, 2025" --keyword weather --policy members-only'
    command(app, "publish", publish, example=example)


def publish(
    access: Access,
    out: Output,
    what: Annotated[
        str,
        typer.Argument(
            help="A file or folder on the node's machine, the http(s) address of an upstream, a place in an object store:"
            " `s3://BUCKET/KEY`, `azure://ACCOUNT/CONTAINER/KEY`, `gs://BUCKET/KEY`, or a stream of events: `nats://HOST/STREAM`,"
            " `tls://HOST/STREAM`."
        ),
    ],
    policy: Annotated[str, typer.Option(help="The terms: a policy on the node or in the library by name, or a file (YAML, JSON).")],
    title: Annotated[str, typer.Option(help="Title in the catalogue; the file's name when left out.")] = "",
    description: Annotated[str, typer.Option(help="Some sentences for the catalogue; or a document by `kontor describe`, `X.yaml`.")] = "",
    keyword: Annotated[list[str] | None, typer.Option(help="A word to find it by; may be repeated.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Dataset id; made of participant and name when left out.")] = None,
    offer_id: Annotated[str | None, typer.Option(help="Id of the offer; `DATASET:offer` when left out.")] = None,
    access_policy: Annotated[str | None, typer.Option(help="Who sees the offer at all, as `--policy`; else every proven peer.")] = None,
    approval: Annotated[Literal["auto", "manual"], typer.Option(help="`manual`: every request waits for `kontor approve`.")] = "auto",
    authorization_file: Annotated[
        Path | None,
        typer.Option(help="File with the `Authorization` value of the upstream, what `--login` takes, or what opens the object store."),
    ] = None,
    login: Annotated[
        LoginType | None,
        typer.Option(help="How the file proves us: `USER:PASSWORD`, a token, `CLIENT_ID:CLIENT_SECRET`, or certificate and key (PEM)."),
    ] = None,
    token_url: Annotated[str | None, typer.Option(help="`--login oauth2`: where the upstream's tokens are got.")] = None,
    scope: Annotated[str, typer.Option(help="`--login oauth2`: the scopes to ask for.")] = "",
    allow_post: Annotated[bool, typer.Option("--allow-post", help="Consumers may POST to the upstream.")] = False,
    allow_path: Annotated[bool, typer.Option("--allow-path", help="Consumers may name a path below the upstream's address.")] = False,
    allow_query: Annotated[list[str] | None, typer.Option(help="A query parameter consumers may set, `*` for all; repeatable.")] = None,
    allow_errors: Annotated[bool, typer.Option("--allow-errors", help="Consumers read the upstream's own words about an error.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="Address of the object store; Amazon's when left out.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the object store.")] = None,
    legal_only: Annotated[
        list[str] | None, typer.Option("--legal-only", help="A left operand of the policy that is left to the law; may be repeated.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the dataset that has this id.")] = False,
) -> None:  # fmt: skip
    """Offer data under a policy: from now on it stands in the catalogue, with its digest."""
    from connector.api.offerings import Asset, ContractDefinition
    from connector.api.sources import Passes

    with access.open() as (node, me):
        slug = _slug(what)
        dataset = id or f"urn:kontor:{me.participant}:{slug}"
        source = _source(node, me, what, slug, authorization_file)
        if endpoint or region:
            source = _checked({**source.model_dump(), "endpoint": endpoint, "region": region}, "--endpoint, --region")
        passes = Passes(
            methods=("GET", "POST") if allow_post else ("GET",), path=allow_path, query=tuple(allow_query or ()), errors=allow_errors
        )  # fmt: skip
        source = _upstream(source, login, token_url, scope, passes)
        media_type = mimetypes.guess_type(what)[0] if source.type != "folder" else None
        asset = Asset(
            id=dataset, title=title or Path(what.rstrip("/")).name, keywords=tuple(keyword or ()), media_type=media_type,
            description="" if describe.is_document(description) else description, source=source,
        )  # fmt: skip
        if describe.is_document(description):
            if title:
                raise typer.BadParameter("the description document has the title", param_hint="--title")
            asset = describe.described(asset, Path(description))
        policies = [policy] if access_policy is None else [policy, access_policy]
        names = [_policy(node, me, one) for one in policies]
        definition = ContractDefinition(
            id=dataset, assets=(dataset,), policy=names[0], access_policy=names[1] if len(names) > 1 else None, approval=approval,
            legal_only=tuple(legal_only or ()),
            offer_id=offer_id or "{dataset}:offer",
        )  # fmt: skip
        kept = _keep(node, me, asset, definition, replace)
    # the template of the contract definition, filled in as the node does it
    offer = definition.offer_id.replace("{definition}", definition.id).replace("{dataset}", dataset)
    out.lines(
        {"dataset": dataset, "offer": offer, "policy": names[0], "digest": kept.digest, "byte_size": kept.byte_size},
        f"dataset  {dataset}",
        f"offer    {offer}",
        f"policy   {names[0]}",
        f"digest   {f'sha-256 {kept.digest}' if kept.digest else 'none: the data is not one file of the node'}",
    )


def _source(node: Client, me: Calls, what: str, slug: str, authorization_file: Path | None) -> AssetSource:
    """Where the data lies; the upstream's credential goes into the node's secrets first."""
    from connector.api.sources import AssetSource

    if re.match("(https?|s3|azure|gs|nats|tls)://", what):
        secret = slug if authorization_file is not None else None
        if authorization_file is not None:
            node.send(me.put_secret(slug, _text(authorization_file)))
        return _checked({**_store(what), "secret": secret}, "WHAT")
    if authorization_file is not None:
        raise typer.BadParameter("only an upstream has a credential", param_hint="--authorization-file")
    path = Path(what).absolute()
    if not path.exists():
        raise ConfigurationError("there is no such file or folder", where=str(path), mend="it must be on the node's machine")
    return AssetSource(type="folder" if path.is_dir() else "file", path=str(path))


def _store(what: str) -> dict[str, object]:
    """The members of the source that an address names: an upstream, a place in an object store, or a stream."""
    scheme, _, rest = what.partition("://")
    if scheme in ("nats", "tls"):
        host, _, stream = rest.partition("/")
        return {"type": "nats", "url": f"{scheme}://{host}", "stream": stream or None}
    if scheme not in _STORES:
        return {"type": "http", "url": what}
    account, _, below = rest.partition("/") if scheme == "azure" else (None, "", rest)
    bucket, _, key = below.partition("/")
    return {"type": _STORES[scheme], "account": account, "bucket": bucket or None, "key": key}


def _checked(members: dict[str, object], hint: str) -> AssetSource:
    """The source with `members`, as the node will check it."""
    from connector.api.sources import AssetSource

    try:
        return AssetSource.model_validate(members)
    except ValueError as fault:
        said = str(fault).partition("Value error, ")[2].partition(" [")[0] or str(fault)
        raise typer.BadParameter(said, param_hint=hint) from fault


def _upstream(source: AssetSource, login: LoginType | None, token_url: str | None, scope: str, passes: Passes) -> AssetSource:
    """`source` with what is particular to an upstream; checked as the node checks it."""
    from connector.api.sources import Login
    from connector.api.sources import Passes as Passing

    if login is None and not token_url and not scope and passes == Passing():
        return source
    if login is None and (token_url or scope):
        raise typer.BadParameter("they go with `--login oauth2`", param_hint="--token-url, --scope")
    try:
        told = Login(type=login, token_url=token_url, scope=scope) if login is not None else None
    except ValueError as fault:
        said = str(fault).partition("Value error, ")[2].partition(" [")[0] or str(fault)
        raise typer.BadParameter(said, param_hint="--login") from fault
    return _checked({**source.model_dump(), "login": told, "passes": passes}, "--login, --allow-…")


def _policy(node: Client, me: Calls, named: str) -> str:
    """The id of the policy on the node; one of the library or of a file is put there first.

    Raises: Conflict when the node has another policy of that name.
    """
    from connector.api.offerings import Policy
    from connector.cli.terms import is_file, load

    if not is_file(named) and _has_policy(node, me, named):
        return named
    terms = load(named)
    try:
        return node.send(me.add_policy(Policy(id=terms.name, policy=terms.tree))).id
    except Conflict:
        if node.send(me.policy(terms.name)).policy == terms.tree:
            return terms.name
        raise Conflict(
            f"the node has another policy `{terms.name}`",
            where=named,
            mend="give the file another name; offers may rest on the old one",
        ) from None


def _has_policy(node: Client, me: Calls, name: str) -> bool:
    try:
        return node.send(me.policy(name)).id == name
    except NotFound:
        return False


def _keep(node: Client, me: Calls, asset: Asset, definition: ContractDefinition, replace: bool) -> Asset:
    if replace:
        kept = node.send(me.put_asset(asset))
        node.send(me.put_definition(definition))
        return kept
    try:
        kept = node.send(me.add_asset(asset))
    except Conflict as error:
        raise Conflict(
            error.what, where=asset.id, mend="name another id with `--id`, or replace it with `--replace`"
        ) from error
    node.send(me.add_definition(definition))
    return kept


def _slug(what: str) -> str:
    name = what.rstrip("/").rpartition("/")[2].rpartition("?")[0] or what.rstrip("/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    return re.sub("[^a-z0-9]+", "-", stem.lower()).strip("-") or "data"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError("the credential cannot be read", where=str(path), mend="name a readable text file") from fault
