"""`kontor dataplanes`: the data planes of others under the control of this node: list, register, forget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output

Id = Annotated[str, typer.Argument(metavar="PLANE", help="Its id.")]


def register(app: typer.Typer) -> None:
    """Add `dataplanes` to the commands."""
    group = typer.Typer(help="Data planes of others under our control.", rich_markup_mode=None, no_args_is_help=True)
    command(group, "list", list_, example="kontor dataplanes list")
    example = "kontor dataplanes add dp-1 https://dp.internal/v1 --profile HttpData-PULL --secret-file dp-1.secret"
    command(group, "add", add, example=example)
    command(group, "remove", remove, example="kontor dataplanes remove dp-1")
    app.add_typer(group, name="dataplanes")


def list_(access: Access, out: Output) -> None:
    """List the data planes that are registered, and how each answered last."""
    from connector.client.dataplanes import dataplanes

    with access.open() as (node, me):
        found = node.send(dataplanes(me.participant)).items
    rows = [
        (
            one.id,
            one.dialect,
            ", ".join(one.profiles),
            one.endpoint,
            one.owner,
            one.fault or ("answers" if one.answered_at else ""),
        )
        for one in found
    ]
    tree = [one.model_dump(mode="json") for one in found]
    heads = ("PLANE", "DIALECT", "PROFILES", "ENDPOINT", "REGISTERED BY", "STATE")
    out.rows(tree, heads, rows, empty="none; `kontor dataplanes add` registers one")


def add(
    access: Access, out: Output, plane: Id,
    endpoint: Annotated[str, typer.Argument(metavar="URL", help="Base of its signaling addresses.")],
    profile: Annotated[list[str], typer.Option("--profile", help="A transfer format or profile that it serves; repeat it.")],
    secret_file: Annotated[Path | None, typer.Option("--secret-file", help="File with the secret that both planes hold.")] = None,
    jwks_uri: Annotated[str | None, typer.Option("--jwks-uri", help="Where the keys of its tokens are.")] = None,
    token_endpoint: Annotated[str | None, typer.Option("--token-endpoint", help="Where we get the tokens of our calls.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="Who we are there.")] = None,
    client_secret_file: Annotated[Path | None, typer.Option("--client-secret-file", help="File with what proves us there.")] = None,
    broker: Annotated[str | None, typer.Option("--broker", help="Where we exchange what proves this process for a token.")] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", help="`iss` of the tokens of its calls; a broker's needs it.")] = None,
    resource: Annotated[str | None, typer.Option("--resource", help="`--broker`: whom we speak for there.")] = None,
    scope: Annotated[str, typer.Option("--scope", help="`--broker`: what we ask for, and its calls must have.")] = "",
    principal: Annotated[str | None, typer.Option("--principal", help="`sub` of the tokens of its calls, where it is not its id.")] = None,
    dialect: Annotated[Literal["dps", "edc-legacy"], typer.Option("--dialect", help="What it speaks.")] = "dps",
    source_type: Annotated[list[str] | None, typer.Option("--source-type", help="`edc-legacy`: kinds of source; repeat it.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="What assets may ask for; repeat it.")] = None,
    host: Annotated[list[str] | None, typer.Option("--host", help="Host that its addresses may name; repeat it.")] = None,
    announce: Annotated[bool, typer.Option("--announce", help="Register this node with it.")] = False,
    unverified: Annotated[bool, typer.Option("--unverified", help="Believe its calls without proof.")] = False,
) -> None:  # fmt: skip
    """Register a data plane, or change its entry. Secrets come from files, never from the command line."""
    from connector.api.dataplanes import NewDataPlane, PlaneAuthorization
    from connector.cli import texts
    from connector.client.dataplanes import put_dataplane

    authorization = PlaneAuthorization.model_validate({
        "secret": texts.read(secret_file).strip() if secret_file is not None else None,
        "jwks_uri": jwks_uri,
        "issuer": issuer,
        "token_exchange_endpoint": broker,
        "resource": resource,
        "scope": scope,
        "token_endpoint": token_endpoint,
        "client_id": client_id,
        "client_secret": texts.read(client_secret_file).strip() if client_secret_file is not None else None,
    })  # fmt: skip
    wanted = NewDataPlane(
        endpoint=endpoint,
        dialect=dialect,
        profiles=tuple(profile),
        labels=tuple(label or ()),
        source_types=tuple(source_type or ()),
        authorization=authorization,
        principal=principal,
        unverified=unverified,
        announced=announce,
        hosts=tuple(host or ()),
    )
    with access.open() as (node, me):
        found = node.send(put_dataplane(me.participant, plane, wanted))
    out.lines(found.model_dump(mode="json"), f"registered {found.id} at {found.endpoint}")


def remove(access: Access, out: Output, plane: Id) -> None:
    """Forget a data plane that moves nothing any more; terminate its transfers first."""
    from connector.client.dataplanes import delete_dataplane

    with access.open() as (node, me):
        node.send(delete_dataplane(me.participant, plane))
    out.lines({"plane": plane, "removed": True}, f"removed {plane}")
