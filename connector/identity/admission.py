"""What proven credentials are worth to one of our participants: in which of its spaces they count, and what policies get to see.

What lives here: `Spaces`, which gathers the lists of the spaces and lets pure functions decide; `claims_in`, `spaces_of`.
What does not: proofs (`credentials.py`), whose word counts (`framework.py`), and where spaces are kept (`joined.py`).

A sender whose standing in a space is not ACTIVE counts for nothing there, whatever it shows: the signed list of participants says so.
What policies see is namespaced: `SPACE/Type.claim`, and `Type.claim` and `claim` besides where there is only one space, so that a
credential of one space never satisfies a policy of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from connector import observe
from connector.errors import InternalError, KontorError, Overloaded, Unproven
from connector.identity import framework as frameworks
from connector.identity.credentials import Asked, Proven, Trust
from connector.identity.evidence import is_passing
from connector.identity.formats import Credential
from connector.identity.framework import Admission, Framework, ListKey
from connector.identity.joined import Joined
from connector.identity.listsource import ListAddress, ListSource
from connector.identity.scopes import By, Scope, write
from connector.identity.trustlists import Listing, Standing, TrustList
from connector.ports.identity import GROUNDS, STANDING

_ROUNDS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Spaces:
    """The spaces that one participant takes part in, and what counts there."""

    joined: tuple[Joined, ...] = ()
    frameworks: tuple[Framework, ...] = ()
    """One for each, by the settings' file or by having joined."""
    known: Mapping[str, Framework] = field(default_factory=dict)
    """The frameworks of the settings' files, by id: what may be recognised."""
    lists: ListSource | None = None
    """Gives signed lists; None only where there are no spaces."""

    def __bool__(self) -> bool:
        return bool(self.frameworks)

    async def trust(self, said: Trust, now: datetime) -> Trust:
        """Whom to believe at all: those that the settings name, and those that the spaces do."""
        if not self:
            return said
        lists = await self._lists()
        found = frameworks.trusted(self.frameworks, others=self._others(), lists=lists, now=now)
        issuers = {one: said.issuers.get(one, frozenset()) | found.get(one, frozenset()) for one in {*said.issuers, *found}}
        return replace(said, issuers=issuers)

    def instead(self, scopes: Sequence[Scope]) -> dict[str, tuple[Scope, ...]]:
        """What counts as well as each scope that is asked for, by its text: what a space recognises under another name."""
        found: dict[str, tuple[Scope, ...]] = {}
        for scope in scopes:
            names = [
                theirs
                for one in self.frameworks
                for recognition in one.recognises
                for theirs, ours in recognition.types.items()
                if scope.by is By.TYPE and ours == scope.value != theirs
            ]
            alias, operation = scope.text.partition(":")[0], scope.text.removesuffix(scope.value) == scope.text
            suffix = scope.text.rpartition(":")[2] if operation else ""
            found |= {scope.text: tuple(_scope(alias, name, suffix) for name in dict.fromkeys(names))} if names else {}
        return found

    async def worth(self, said: Trust, proven: Proven, asked: Asked, now: datetime) -> dict[str, Any]:
        """What policies get to see of the proven sender.

        Raises: Unproven when it is suspended, or what was asked for counts nowhere; Overloaded when a list cannot be had.
        """
        if not self:
            return {**claims_in(_items(proven.credentials)), GROUNDS: [*_by_settings(proven.credentials), *proven.grounds]}
        plain = [narrowed for one in proven.credentials if (narrowed := _believed(said, one)).types]
        standings, versions = await self._standings(proven.holder)
        lists, others = await self._lists(), self._others()
        admissions = [
            frameworks.admit(one, proven.credentials, others=others, lists=lists, now=now)
            for one in self.frameworks
            if standings.get(one.id, Standing.ACTIVE) is Standing.ACTIVE
        ]
        self._need(asked, admissions, plain, standings)
        return _claims(self, admissions, plain, standings, (*versions, *proven.grounds))

    async def standing(self, holder: str) -> dict[str, Any]:
        """What is known of a peer that proves nothing now: how it stands, when it is on a list."""
        return _shown((await self._standings(holder))[0])

    def _need(
        self, asked: Asked, admissions: Sequence[Admission], plain: Sequence[Credential], standings: Mapping[str, Standing]
    ) -> None:
        """Raises: Unproven when a type that was asked for counts nowhere."""
        types = {one.type for admission in admissions for one in admission.counted}
        types |= {type_ for one in plain for type_ in one.types}
        lacking = [one.text for one in asked.scopes if one.by is By.TYPE and one.value not in types]
        if not lacking and types:
            return
        barred = [f"it is {state} in `{space}`" for space, state in standings.items() if state is not Standing.ACTIVE]
        if barred:
            raise Unproven("; ".join(barred), check="standing", where=asked.holder)
        refused = [why for admission in admissions for why in admission.refused]
        raise Unproven("; ".join(refused) or "nothing counts in any space", check="trust", where=asked.holder)

    async def shown_to(self, verifier: str, chosen: tuple[Credential, ...]) -> tuple[Credential, ...]:
        """Those of `chosen` to show to `verifier`: in a space that both take part in, nothing of the other spaces.

        A presentation with a credential of a space that its reader does not know proves nothing to it, and tells it more than it needs.
        Who shares no space with us may recognise one, and is shown all.
        """
        if len(self.joined) < 2:
            return chosen
        shared = {one.authority for one in self.joined if await self._lists_as_active(one, verifier)}
        if not shared:
            # who has just come stands on no list that was read before
            shared = {one.authority for one in self.joined if await self._lists_as_active(one, verifier, anew=True)}
        if not shared:
            return chosen
        others = {one.authority for one in self.joined} - shared
        return tuple(one for one in chosen if one.issuer not in others)

    async def _lists_as_active(self, one: Joined, did: str, *, anew: bool = False) -> bool:
        try:
            source, address = self._source(), one.participant_list
            entry = (await (source.newer(address, did) if anew else source.get(address))).participant(did)
        except KontorError:
            return False
        return entry is not None and entry.state is Standing.ACTIVE

    async def _standings(self, holder: str) -> tuple[dict[str, Standing], list[str]]:
        """How `holder` stands in the joined spaces whose lists name it, and the versions of those lists.

        Raises: Overloaded when a list cannot be had.
        """
        found: dict[str, Standing] = {}
        versions: list[str] = []
        for one in self.joined:
            try:
                listed = await self._source().get(one.participant_list)
            except KontorError as fault:
                words = f"the participants of `{one.space}` cannot be looked up: {fault}"
                if is_passing(fault) or fault.status == Overloaded.status:
                    raise Overloaded(words, where=holder) from fault
                raise Unproven(words, check="standing", where=holder) from fault
            entry = listed.participant(holder)
            if entry is not None:
                found[one.space] = entry.state
            seq, digest = listed.version.seq, listed.version.digest[:16]
            versions.append(f"participants of {one.space} number {seq} sha256 {digest}")
        return found, versions

    def _others(self) -> Mapping[str, Framework]:
        return {**self.known, **{one.id: one for one in self.frameworks}}

    async def _lists(self) -> dict[ListKey, TrustList]:
        """The lists of issuers that the frameworks lead to; one that cannot be had accredits nobody."""
        wanted = [*self.frameworks]
        others = self._others()
        wanted += [others[two.framework] for one in self.frameworks for two in one.recognises if two.framework in others]
        found: dict[ListKey, TrustList] = {}
        tried: set[ListKey] = set()
        for _ in range(_ROUNDS):
            needed = {key: one for key, one in frameworks.addresses(wanted, found).items() if key not in tried}
            if not needed:
                break
            for key, one in needed.items():
                tried.add(key)
                # an accreditor may govern a space of its own: its list is known by who signed it
                address = ListAddress(url=key.url, listing=Listing.ISSUERS, governance=key.accreditor, grace=one.grace)
                try:
                    found[key] = await self._source().get(address)
                except KontorError as fault:
                    observe.debug("trust.list_missing", url=key.url, cause=str(fault))
        return found

    def _source(self) -> ListSource:
        if self.lists is None:
            raise InternalError("a space without a source of lists")
        return self.lists


def spaces_of(joined: Iterable[Joined], named: Iterable[str], *, known: Mapping[str, Framework], lists: ListSource) -> Spaces:
    """The spaces of a participant that has joined `joined`, and takes part in those that the settings name besides."""
    members = tuple(one for one in joined if one.is_member)
    found = {one.space: known.get(one.space, one.framework) for one in members}
    found |= {id_: known[id_] for id_ in named}
    return Spaces(joined=members, frameworks=tuple(found.values()), known=known, lists=lists)


def _scope(alias: str, type_: str, operation: str) -> Scope:
    return Scope(by=By.TYPE, value=type_, text=write(type_, alias, operation))


def _claims(
    spaces: Spaces,
    admissions: Sequence[Admission],
    plain: Sequence[Credential],
    standings: Mapping[str, Standing],
    versions: Sequence[str],
) -> dict[str, Any]:
    items = {one.space: [((two.type,), two.issuer, two.claims) for two in one.counted] for one in admissions if one.counted}
    is_only = len(spaces.frameworks) == 1 and not plain
    found = claims_in(next(iter(items.values())) if is_only and items else _items(plain))
    for space, counted in items.items():
        found |= {f"{space}/{name}": value for name, value in claims_in(counted).items()}
    found["spaces"] = sorted(items)
    # what a decision must be able to name afterwards: which anchors and which versions of which lists let the sender in
    anchors = [ground for one in admissions for two in one.counted for ground in two.grounds]
    found[GROUNDS] = list(dict.fromkeys([*anchors, *_by_settings(plain), *versions]))
    return {**found, **_shown(standings)}


def _believed(said: Trust, credential: Credential) -> Credential:
    """The credential as the settings believe it: as those of its types for which they believe its issuer.

    INVARIANT: what a space believes an issuer for, with the limits that the space sets, counts for no more because settings believe the
    same issuer for something else.
    """
    return replace(credential, types=tuple(one for one in credential.types if said.believes(credential.issuer, one)))


def _by_settings(plain: Iterable[Credential]) -> list[str]:
    """The anchors of credentials whose issuers a participant believes by its own settings."""
    return [f"anchor identity.trusted_issuers {issuer}" for issuer in dict.fromkeys(one.issuer for one in plain)]


def _shown(standings: Mapping[str, Standing]) -> dict[str, Any]:
    """How a peer stands: ACTIVE as long as one space has it so; what it lost in the others counts no more there anyway."""
    order = (Standing.ACTIVE, Standing.SUSPENDED, Standing.REVOKED)
    states = [state for state in order if state in standings.values()]
    return {STANDING: states[0].value} if states else {}


def _items(held: Iterable[Credential]) -> list[tuple[tuple[str, ...], str, Mapping[str, Any]]]:
    return [(one.types, one.issuer, one.claims) for one in held]


def claims_in(items: Iterable[tuple[tuple[str, ...], str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What policies see of credentials, each given as types, issuer and claims: each claim as `Type.claim`, and as `claim` where all
    credentials that make it agree.

    `credentials` are the types that are held, `issuers` who attests them. Objects and lists of them are left out, and so are claims
    whose own name holds a `.` or a `/`.
    """
    listed = list(items)
    found: dict[str, Any] = {
        "credentials": sorted({type_ for types, _, _ in listed for type_ in types}),
        "issuers": sorted({issuer for _, issuer, _ in listed}),
    }
    short: dict[str, list[Any]] = {}
    for types, _, claims in listed:
        for name, value in claims.items():
            # INVARIANT: no name of a claim, short or behind its type, reads as that of another type, or of another space
            if "." in name or "/" in name or not _is_plain(value):
                continue
            for type_ in types:
                # INVARIANT: nor does the name of a type: those of spaces stand before a `/`
                if "/" not in type_:
                    found.setdefault(f"{type_}.{name}", value)
            if name not in (STANDING, "spaces", GROUNDS):
                short.setdefault(name, []).append(value)
    for name, values in short.items():
        if all(value == values[0] for value in values):
            found.setdefault(name, values[0])
    return found


def _is_plain(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, str | int | float | bool) for one in values)
