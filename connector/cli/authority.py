"""`kontor authority`: govern a data space: who wants to take part, who does, and the decisions about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connector.cli import authority_keys
from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, table, tell
from connector.cli.processes import Cursor, Limit, more

if TYPE_CHECKING:
    from connector.api.authority import Member

Did = Annotated[str, typer.Argument(help="The member's DID.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the register and the audit trail.")]
Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="Said of it, and attested; again for more.")
]


def register(app: typer.Typer) -> None:
    """Add `authority` to the commands."""
    group = typer.Typer(
        help="Govern a data space: members, credentials, suspensions.", no_args_is_help=True, rich_markup_mode=None
    )
    command(
        group,
        "init",
        init,
        example="kontor authority init --public-url https://authority.example.org --space urn:space:example",
    )
    command(group, "applications", applications, example="kontor authority applications --json")
    command(group, "approve", approve, example="kontor authority approve did:web:data.acme.example:acme --attribute region=EU")
    command(group, "reject", reject, example='kontor authority reject did:web:data.acme.example:acme --reason "no contract"')
    command(group, "suspend", suspend, example='kontor authority suspend did:web:data.acme.example:acme --reason "late fees"')
    command(group, "reinstate", reinstate, example="kontor authority reinstate did:web:data.acme.example:acme")
    command(group, "revoke", revoke, example='kontor authority revoke did:web:data.acme.example:acme --reason "has left"')
    command(group, "participants", participants, example="kontor authority participants --state SUSPENDED")
    command(group, "show", show, example="kontor authority show did:web:data.acme.example:acme")
    command(group, "enrol", enrol, example="kontor authority enrol did:web:data.acme.example:acme --attribute name=Acme")
    command(group, "offer", offer, example="kontor authority offer did:web:data.acme.example:acme --type MembershipCredential")
    authority_keys.register(group)
    app.add_typer(group, name="authority")


def init(
    out: Output,
    public_url: Annotated[
        str | None, typer.Option(help="Address under which the space reaches the node; its https address.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="The space's id, a URI; the authority's own DID if left out.")] = None,
    title: Annotated[str, typer.Option(help="The space's name for people.")] = "",
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
    port: Annotated[int, typer.Option(help="Port that the space reaches.")] = 8080,
    operator_port: Annotated[int, typer.Option(help="Port of the operator API, on this machine alone.")] = 8081,
    unsafe_local: Annotated[
        bool, typer.Option("--unsafe-local", help="Allow plain http and loopback: for trying it on one machine.")
    ] = False,
) -> None:
    """Write the configuration and the keys of a new authority. Existing files stay as they are."""
    from connector.cli.access import KEY_FILE
    from connector.cli.init import CONFIG_FILE, Governed, NewNode, did_web, write

    if public_url is None:
        if not unsafe_local:
            raise typer.BadParameter(
                "the address that the space reaches; or `--unsafe-local` to try it here", param_hint="--public-url"
            )
        public_url = f"http://localhost:{port}"
    url = public_url.rstrip("/")
    did = did_web(url, "authority")
    wanted = NewNode(
        name="", id="", title="", public_url=url, port=port, operator_port=operator_port, is_local=unsafe_local,
        governs=Governed(space=space, title=title),
    )  # fmt: skip
    write(folder, wanted)
    config = folder / CONFIG_FILE
    tree = {"config": str(config), "api_key_file": str(folder / KEY_FILE), "authority": did, "space": space or did}
    out.lines(
        tree,
        f"authority    {did}",
        f"space        {space or did}",
        f"settings     {config}",
        f"API key      {folder / KEY_FILE} (keep it; the settings hold its digest alone)",
        f"next         kontor serve --config {config}",
        f"then         members join with: kontor join {url}",
    )


def applications(access: Access, out: Output, limit: Limit = 1000, cursor: Cursor = None) -> None:
    """List who wants to take part: SUBMITTED is not proven yet, VERIFIED waits for you."""
    from connector.client import authority

    with access.node() as (node, _):
        page = node.send(authority.applications(limit=limit, cursor=cursor))
    _list(out, page.items, "nobody waits", are_waiting=True)
    more(out, page)


def participants(
    access: Access,
    out: Output,
    state: Annotated[
        Literal["VERIFIED", "APPROVED", "ACTIVE", "SUSPENDED", "REVOKED"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> None:
    """List the members, by DID."""
    from connector.client import authority

    with access.node() as (node, _):
        page = node.send(authority.members(state, limit=limit, cursor=cursor))
    _list(out, page.items, "there is no member")
    more(out, page)


def approve(
    access: Access,
    out: Output,
    did: Did,
    attribute: Attributes = None,
    reason: Reason = "",
    application: Annotated[
        str | None, typer.Option(help="The application that you looked at: fail when there is another one since.")
    ] = None,
) -> None:
    """Take in an applicant that has shown that it controls its DID; what is said of it from then on is attested."""
    from connector.api.authority import Approval
    from connector.client import authority

    wanted = Approval(application=application, attributes=pairs(attribute), reason=reason)
    with access.node() as (node, _):
        _told(out, node.send(authority.approve(did, wanted)))


def reject(access: Access, out: Output, did: Did, reason: Reason) -> None:
    """Refuse an applicant; it may apply again."""
    _decide(access, out, did, "reject", reason)


def suspend(access: Access, out: Output, did: Did, reason: Reason) -> None:
    """Let a member do nothing any more, at once and everywhere in the space, until it is reinstated."""
    _decide(access, out, did, "suspend", reason)


def revoke(access: Access, out: Output, did: Did, reason: Reason) -> None:
    """Let a member do nothing any more, for ever."""
    _decide(access, out, did, "revoke", reason)


def reinstate(access: Access, out: Output, did: Did, reason: Reason = "") -> None:
    """End a suspension."""
    from connector.api.authority import Reinstatement
    from connector.client import authority

    with access.node() as (node, _):
        _told(out, node.send(authority.reinstate(did, Reinstatement(reason=reason))))


def enrol(access: Access, out: Output, did: Did, attribute: Attributes = None, reason: Reason = "") -> None:
    """Take in a member by your word: its control of the DID was shown otherwise. It asks for its credentials itself."""
    from connector.api.authority import NewMember
    from connector.client import authority

    with access.node() as (node, _):
        _told(out, node.send(authority.enrol(NewMember(id=did, attributes=pairs(attribute), reason=reason))))


def offer(
    access: Access,
    out: Output,
    did: Did,
    type: Annotated[
        list[str] | None, typer.Option("--type", help="Type of credential; again for more. All if left out.")
    ] = None,
    reason: Annotated[Literal["reissue", "proof-key-revocation"], typer.Option(help="What the wallet is told.")] = "reissue",
) -> None:
    """Offer a member credentials; its wallet asks for them."""
    from connector.api.authority import OfferWish
    from connector.client import authority

    with access.node() as (node, _):
        node.send(authority.offer(did, OfferWish(types=type or [], reason=reason)))
    out.lines({"id": did, "offered": type or []}, f"offered to {did}")


def show(access: Access, out: Output, did: Did) -> None:
    """Tell the whole story of a member: every step, who took it and why, and every credential that it was given."""
    from connector.client import authority

    with access.node() as (node, _):
        one = node.send(authority.member(did))
    out.show(one.model_dump(mode="json"), lambda: _story(one))


def _decide(access: Access, out: Output, did: str, act: str, reason: str) -> None:
    from connector.api.authority import Decision
    from connector.client import authority

    with access.node() as (node, _):
        _told(out, node.send(authority.decide(did, act, Decision(reason=reason))))


def _told(out: Output, one: Member) -> None:
    out.lines(one.model_dump(mode="json"), f"{one.state}  {one.id}")


def _list(out: Output, found: list[Member], empty: str, *, are_waiting: bool = False) -> None:
    rows = [
        (
            one.id,
            one.state,
            one.application if are_waiting else f"{one.since:%Y-%m-%d}" if one.since else "-",
            _said(one),
            one.steps[-1].reason if one.steps else "",
        )
        for one in found
    ]
    tree = [one.model_dump(mode="json") for one in found]
    heads = ("MEMBER", "STATE", "APPLICATION" if are_waiting else "SINCE", "SAID OF IT", "LAST REASON")
    out.rows(tree, heads, rows, empty=empty)


def _said(one: Member) -> str:
    return ", ".join(f"{name}={value}" for name, value in one.attributes.items())


def _story(one: Member) -> None:
    tell(f"{one.state} {one.id}")
    for name, value in (("said of it", _said(one)), ("connector", one.address), ("notices", one.notices)):
        if value:
            tell(f"  {name + ':':<14}{value}")
    tell("")
    steps = [(f"{step.at:%Y-%m-%d %H:%M:%S}", step.by, step.event, step.state, step.reason) for step in one.steps]
    table(("TIME", "BY", "WHAT", "STATE", "REASON"), steps, empty="nothing has happened yet")
    given = [(row.type, f"{row.ends:%Y-%m-%d}", row.id, ", ".join(row.status)) for row in one.credentials]
    if given:
        tell("")
        table(("CREDENTIAL", "ENDS", "ID", "STATUS LISTS"), given, empty="")


def pairs(given: list[str] | None) -> dict[str, str | int | float | bool]:
    """`NAME=VALUE` as a mapping. Raises: BadParameter."""
    found: dict[str, str | int | float | bool] = {}
    for one in given or []:
        name, sign, value = one.partition("=")
        if not sign or not name or name in found:
            raise typer.BadParameter(f"`{one}` is no NAME=VALUE, or a name stands twice", param_hint="--attribute")
        found[name] = value
    return found
