"""A data space with ledgers of data products in it: who runs one names the members whose catalogues it gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.app.listening import free_ports
from connector.testing.dataspace import DataSpace, Member


class LedgerSpace(DataSpace):
    """Members and ledgers, whose nodes know each other's addresses before they start."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._gathered: dict[str, tuple[str, ...]] = {}

    def gather(self, name: str, members: Sequence[str], **options: Any) -> Member:
        """A new member that runs a ledger over the catalogues, or ledgers, of the members of these names."""
        self._gathered[name] = tuple(members)
        return self.join(name, **options)

    async def begin(self) -> None:
        if not self._ports:
            names = [member.name for member in self._members.values() if member.on is None]
            self._ports |= dict(zip(names, free_ports(len(names)), strict=True))
        await super().begin()

    def settings_of(self, host: Member) -> dict[str, Any]:
        sections = super().settings_of(host)
        if host.name in self._gathered:
            sections["node"]["roles"] = ["connector", "catalog"]
            members = [self._listed(name) for name in self._gathered[host.name]]
            sections["catalog"] = {
                "participant": host.name,
                "space": host.name,
                "members": members,
                **sections.get("catalog", {}),
            }
        for name, participant in sections["participants"].items():
            ledgers = [ledger for ledger, members in self._gathered.items() if name in members]
            known = [{"id": self._members[one].id, "address": self._listed(one)["address"]} for one in ledgers]
            participant["catalogs"] = known
        return sections

    def _listed(self, name: str) -> dict[str, Any]:
        """A member as a ledger lists it."""
        member = self._members[name]
        kind, path = ("catalog", "catalog") if name in self._gathered else ("connector", name)
        address = f"http://127.0.0.1:{self._ports[member.host.name]}/{path}"
        return {"id": member.id, "address": address, "kind": kind, "title": name}
