"""Trust frameworks as operators write them: YAML, errors with file and line.

What lives here: `read` (one file to a `Framework`), `together` (what several files must be to each other). Files are opened elsewhere.
What does not: what a framework means (`framework.py`).

    trustFramework:
      id: urn:space:example
      governance: did:web:authority.example
      anchors:
        - issuer: did:web:authority.example
          types: [MembershipCredential]
          claims: {memberOf: [urn:space:example]}   # each claim must be there, with one of these values
          region: [EU, CH]                          # values that the claim `region` may have, as written: no
                                                    # region stands for those within it; `regionClaim` names another
          valid: {from: 2026-01-01, until: 2027-12-31}
          assurance: high
        - accreditor: did:web:root.example          # whoever it lists as an issuer, or whom those list
          list: https://root.example/trust/issuers
          maxDepth: 2
          types: [DismantlerCredential]
      recognises:
        - framework: urn:space:other
          map: {OtherMember: MembershipCredential}
          claims: {region: region}
          until: 2027-06-30
          requires: [DataExchangeAgreement]
      lists: {onStale: deny}                        # or {allowFor: 24h}

PyYAML has its second door here beside `odrl/`: what is read is no policy, and lines are needed for errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import yaml

from connector.errors import ConfigurationError
from connector.identity.framework import ANY, Anchor, Framework, Limits, Recognition

_MOST_CHARACTERS: Final = 1_000_000
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DEEPEST: Final = 5
_WHOLE = ("id", "governance", "anchors", "recognises", "lists")
_ANCHOR = ("issuer", "accreditor", "list", "maxDepth", "types", "claims", "region", "regionClaim", "valid", "assurance")
_RECOGNITION = ("framework", "map", "claims", "from", "until", "requires")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A node of the file, and how to speak of it."""

    node: yaml.Node
    file: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.node.start_mark.line + 1}"

    def fault(self, what: str, mend: str = "") -> ConfigurationError:
        return ConfigurationError(what, where=self.where, mend=mend)

    def members(self, known: Iterable[str] = ()) -> dict[str, _Place]:
        """The members of a mapping; with `known`, no other ones."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.fault("a mapping is expected here", "write `name: value` lines")
        found: dict[str, _Place] = {}
        names = tuple(known)
        for key, value in self.node.value:
            name = str(key.value)
            place = _Place(node=key, file=self.file)
            if not isinstance(key, yaml.ScalarNode) or name in found:
                raise place.fault(f"`{name}` stands twice, or is no name", "write it once")
            if names and name not in names:
                raise place.fault(f"`{name}` is not known here", f"known: {', '.join(f'`{one}`' for one in names)}")
            found[name] = _Place(node=value, file=self.file)
        return found

    def items(self) -> list[_Place]:
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self.fault("a list with at least one entry is expected here", "write `- entry` lines, or leave it out")
        return [_Place(node=one, file=self.file) for one in self.node.value]

    def text(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value:
            raise self.fault("a text is expected here")
        return str(self.node.value)

    def texts(self) -> tuple[str, ...]:
        return tuple(one.text() for one in self.items())

    def value(self) -> Any:
        """A text, number or boolean."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.fault("a text, number or boolean is expected here")
        found = yaml.safe_load(yaml.serialize(self.node))
        return str(self.node.value) if isinstance(found, datetime | date) or found is None else found

    def did(self) -> str:
        found = self.text()
        if not found.startswith("did:") or len(found.split()) != 1:
            raise self.fault(f"`{found}` is no DID", "write one such as `did:web:authority.example`")
        return found

    def moment(self, *, is_end: bool = False) -> datetime:
        """A date or date-time; an end that is a day includes it."""
        found = self.text()
        try:
            moment = datetime.fromisoformat(found)
        except ValueError:
            raise self.fault(f"`{found}` is no date", "write one such as `2027-12-31`") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment + timedelta(days=1) if is_end and len(found) == len("2027-12-31") else moment


def read(text: str, file: str) -> Framework:
    """The framework in `text`; `file` is its name in errors and in the record of decisions.

    Raises: ConfigurationError with file and line.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError("the file is too long to be a trust framework", where=file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise ConfigurationError(f"this is no YAML: {fault.problem}", where=f"{file}:{line}") from fault
    except yaml.YAMLError as fault:
        raise ConfigurationError("this is no YAML", where=file) from fault
    if node is None:
        raise ConfigurationError("the file is empty", where=file, mend="begin with `trustFramework:`")
    if "*" in text or "&" in text:
        _refuse_aliases(text, file)
    top = _Place(node=node, file=file).members(("trustFramework",))
    if "trustFramework" not in top:
        raise ConfigurationError("there is no `trustFramework`", where=f"{file}:1", mend="begin with `trustFramework:`")
    place = top["trustFramework"]
    found = place.members(_WHOLE)
    for name in ("id", "governance", "anchors"):
        if name not in found:
            raise place.fault(f"`{name}` is missing", f"write `{name}:`")
    return Framework(
        id=found["id"].text(),
        governance=found["governance"].did(),
        anchors=tuple(_anchor(one) for one in found["anchors"].items()),
        where=place.where,
        recognises=tuple(_recognition(one) for one in found["recognises"].items()) if "recognises" in found else (),
        grace=_grace(found["lists"]) if "lists" in found else timedelta(0),
    )


def together(frameworks: Iterable[Framework]) -> Mapping[str, Framework]:
    """The frameworks by id. Raises: ConfigurationError when one stands twice, or recognises one that no file defines."""
    found: dict[str, Framework] = {}
    for one in frameworks:
        if one.id in found:
            raise ConfigurationError(f"`{one.id}` is defined in {found[one.id].where} too", where=one.where, mend="keep one")
        found[one.id] = one
    for one in found.values():
        for recognition in one.recognises:
            if recognition.framework == one.id:
                raise ConfigurationError("a space does not recognise itself", where=recognition.where, mend="name another one")
            if recognition.framework not in found:
                mend = f"add the file of `{recognition.framework}`: its anchors decide what counts there"
                raise ConfigurationError("no file defines the recognised framework", where=recognition.where, mend=mend)
    return found


def _anchor(place: _Place) -> Anchor:
    found = place.members(_ANCHOR)
    if ("issuer" in found) is ("accreditor" in found):
        raise place.fault("an anchor has either an `issuer` or an `accreditor`", "write one of them")
    if "types" not in found:
        raise place.fault("an anchor without `types` counts for nothing", "name them; `['*']` is every type")
    is_accreditor = "accreditor" in found
    for name in ("list", "maxDepth"):
        if (name in found) is not is_accreditor:
            raise place.fault(f"`{name}` goes with `accreditor`, and with it only", "write both or none")
    valid = found["valid"].members(("from", "until")) if "valid" in found else {}
    limits = Limits(
        types=frozenset(found["types"].texts()),
        claims={name: _values(one) for name, one in found["claims"].members().items()} if "claims" in found else {},
        region=frozenset(found["region"].texts()) if "region" in found else frozenset(),
        region_claim=found["regionClaim"].text() if "regionClaim" in found else "region",
        begins=valid["from"].moment() if "from" in valid else None,
        ends=valid["until"].moment(is_end=True) if "until" in valid else None,
    )
    if ANY in limits.types and len(limits.types) > 1:
        raise found["types"].fault("`*` stands beside other types", "write `*` alone, or the types")
    return Anchor(
        did=(found["accreditor"] if is_accreditor else found["issuer"]).did(),
        limits=limits,
        where=place.where,
        max_depth=_depth(found["maxDepth"]) if is_accreditor else 0,
        list_url=_url(found["list"]) if is_accreditor else "",
        assurance=found["assurance"].text() if "assurance" in found else "",
    )


def _recognition(place: _Place) -> Recognition:
    found = place.members(_RECOGNITION)
    for name in ("framework", "map"):
        if name not in found:
            raise place.fault(f"`{name}` is missing", f"write `{name}:`")
    types = {theirs: ours.text() for theirs, ours in found["map"].members().items()}
    if not types or ANY in types or ANY in types.values():
        raise found["map"].fault("each recognised type is named", "write `{TheirType: OurType}`")
    return Recognition(
        framework=found["framework"].text(),
        types=types,
        where=place.where,
        claims={theirs: ours.text() for theirs, ours in found["claims"].members().items()} if "claims" in found else {},
        begins=found["from"].moment() if "from" in found else None,
        ends=found["until"].moment(is_end=True) if "until" in found else None,
        requires=found["requires"].texts() if "requires" in found else (),
    )


def _values(place: _Place) -> tuple[Any, ...]:
    return tuple(one.value() for one in place.items()) if isinstance(place.node, yaml.SequenceNode) else (place.value(),)


def _depth(place: _Place) -> int:
    found = place.value()
    if type(found) is not int or not 1 <= found <= _DEEPEST:
        raise place.fault(f"`maxDepth` is a number from 1 to {_DEEPEST}")
    return found


def _url(place: _Place) -> str:
    found = place.text()
    if not found.startswith(("https://", "http://")):
        raise place.fault(f"`{found}` is no address", "write one that begins with `https://`")
    return found


def _grace(place: _Place) -> timedelta:
    found = place.members(("onStale", "allowFor"))
    if ("onStale" in found) is ("allowFor" in found):
        raise place.fault("write either `onStale: deny` or `allowFor:` and a time")
    if "onStale" in found:
        if found["onStale"].text() != "deny":
            raise found["onStale"].fault("`onStale` is `deny`", "for a time of grace write `allowFor: 24h` instead")
        return timedelta(0)
    number = _DURATION.fullmatch(found["allowFor"].text())
    if number is None:
        raise found["allowFor"].fault("this is no time", "write one such as `30m`, `24h` or `7d`")
    return timedelta(seconds=int(number[1]) * _SECONDS[number[2]])


def _refuse_aliases(text: str, file: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigurationError("YAML anchors and aliases are not taken", where=f"{file}:{line}", mend="write it out")
