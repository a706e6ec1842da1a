"""The credentials of a participant: asked for, listed, shown, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import NotFound, PeerError

if TYPE_CHECKING:
    from connector.api.identity import Credential, Requested

Name = Annotated[str, typer.Argument(help="As `kontor credentials list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add `kontor credentials` to the commands."""
    held = typer.Typer(help="The credentials a participant proves itself with.", no_args_is_help=True, rich_markup_mode=None)
    command(
        held, "request", request,
        example="kontor credentials request --issuer did:web:authority.example.org --type MembershipCredential",
    )  # fmt: skip
    command(held, "list", list_all, example="kontor credentials list --json")
    command(held, "show", show, example="kontor credentials show 0d3f6a1c9b8e7f52")
    command(held, "drop", drop, example="kontor credentials drop 0d3f6a1c9b8e7f52")
    app.add_typer(held, name="credentials")


def request(
    access: Access,
    out: Output,
    issuer: Annotated[str, typer.Option(help="The DID of the issuer.")],
    type: Annotated[list[str], typer.Option("--type", help="Type of credential; once for each.")],
    id: Annotated[
        str | None, typer.Option("--id", help="Our name for it, `holderPid` on the wire; random if left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Format, such as `vc20-bssl/jwt`; the issuer's first if left out.")] = "",
    once: Annotated[bool, typer.Option("--once", help="Do not renew it, and take in one delivery alone.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Longest wait for the delivery, in seconds.")] = 10,
) -> None:
    """Ask an issuer for credentials. The request stands: what it brings is renewed before it ends."""
    from connector.api.identity import CredentialRequest

    wanted = CredentialRequest(issuer=issuer, types=type, id=id, profile=profile, is_standing=not once)
    with access.open() as (node, me):
        made = node.send(me.request_credentials(wanted))
        found = node.wait(
            me.credential_requests(),
            lambda all_: next((one.state in ("ISSUED", "REJECTED") for one in all_.items if one.id == made.id), True),
            within_s=wait,
        )
    now = next((one for one in found.items if one.id == made.id), made)
    if out.as_json or now.state == "ISSUED" or not wait:
        out.lines(now.model_dump(mode="json"), f"{now.state}  {now.id}")
    if now.state != "ISSUED" and wait:
        raise PeerError(
            f"nothing was delivered yet: {now.error or 'no answer so far'}",
            where=now.id,
            mend="it is tried again by itself; `kontor credentials list` tells how it stands",
        )


def list_all(access: Access, out: Output) -> None:
    """What is held, and the requests for more."""
    with access.open() as (node, me):
        held, asked = node.send(me.credentials()), node.send(me.credential_requests())
    rows = [*(_held(one) for one in held.items), *(_asked(one) for one in asked.items)]
    tree = {"credentials": held.model_dump(mode="json"), "requests": asked.model_dump(mode="json")}
    out.rows(tree, ["name", "state", "types", "issuer", "until"], rows, empty="nothing is held, and nothing was asked for")


def show(access: Access, out: Output, name: Name) -> None:
    """One credential with its claims, or one request."""
    with access.open() as (node, me):
        found: list[Credential | Requested] = [*node.send(me.credentials()).items, *node.send(me.credential_requests()).items]
    one = next((one for one in found if one.id == name), None)
    if one is None:
        raise NotFound(f"there is no credential or request `{name}`", where=name, mend="see `kontor credentials list`")
    tree = one.model_dump(mode="json")
    out.lines(tree, *(f"{key:<14}{value}" for key, value in tree.items() if value not in ("", None)))


def drop(access: Access, out: Output, name: Name) -> None:
    """Forget a credential, or end a request."""
    with access.open() as (node, me):
        is_request = any(one.id == name for one in node.send(me.credential_requests()).items)
        node.send(me.end_credential_request(name) if is_request else me.drop_credential(name))
    out.lines({"dropped": name}, f"dropped  {name}")


def _held(one: Credential) -> list[str]:
    until = f"{one.valid_until:%Y-%m-%d %H:%M}" if one.valid_until else "no end"
    return [one.id, "held" if one.is_valid_now else "not valid now", ", ".join(one.types), one.issuer, until]


def _asked(one: Requested) -> list[str]:
    return [one.id, one.state, ", ".join(one.types), one.issuer, one.error or ("stands" if one.is_standing else "once")]
