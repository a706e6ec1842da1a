"""What a participant says of itself: the organisation, and the service that its connector is. YAML in, JSON-LD out.

    participant: "did:web:weather.example"
    name: {en: Example Weather, de: Beispielwetter}

What lives here: the words of the document, `read`, the draft, and `members`, the description as JSON-LD. What does not: the rules that
it keeps (`vocab/checks/participant.json`), what the node says of its own service (`controlplane/describing.py`), and who attests what.

Every name is a full IRI: the description stands in catalogues, in a credential and by itself, and means the same under each context.
Source: DCAT 3 (data services); schema.org Organization; FOAF; Verifiable Credentials Data Model 2.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from connector.describe import document
from connector.describe.document import Texts
from connector.describe.members import PREFIXES
from connector.describe.reading import Reader, compose
from connector.errors import ConfigurationError

PROFILE: Final = "participant"
"""The name of its rules."""
PROPERTY: Final = PREFIXES["kontor"] + "selfDescription"
"""Where a catalogue carries the description of the participant that it speaks for."""
ATTESTATION: Final = PREFIXES["kontor"] + "attestation"
"""Where it carries what others attest of that participant."""
SERVICE: Final = PREFIXES["kontor"] + "service"
ORGANISATION: Final = PREFIXES["schema"] + "Organization"
CREDENTIAL_TYPE: Final = "SelfDescriptionCredential"
_DCT, _DCAT, _FOAF, _SCHEMA, _KONTOR, _AS = (PREFIXES[name] for name in ("dct", "dcat", "foaf", "schema", "kontor", "as"))
_COUNTRIES: Final = "http://publications.europa.eu/resource/authority/country/"
_COUNTRY: Final = re.compile("[A-Z]{3}")
_CAPABILITY: Final = re.compile("[a-z][a-z0-9-]{1,62}")
_TYPE: Final = re.compile("[A-Za-z][A-Za-z0-9]{1,99}")
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A participant in its own words."""

    participant: str = ""
    """Participant id."""
    name: Texts = ()
    legal_name: str | None = None
    description: Texts = ()
    identifiers: tuple[str, ...] = ()
    """Register numbers and other names: `LEI 5299...`, a URN, a DID."""
    country: str | None = None
    """IRI."""
    contact: str | None = None
    """IRI: `mailto:` or a page."""
    homepage: str | None = None
    sectors: tuple[str, ...] = ()
    """IRIs of SKOS concepts."""
    capabilities: tuple[str, ...] = ()
    """What it can do beside what its connector tells: `anonymisation`, `labelling`."""
    attestations: tuple[str, ...] = ()
    """Types of credentials in its wallet that everybody may see."""
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each word of the document stands: `file:line:column`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The connector of a participant, as its node knows it."""

    address: str
    title: str
    conforms_to: tuple[str, ...]
    """IRIs of the protocols that it speaks."""
    formats: tuple[str, ...]
    """Transfer formats, such as `HttpData-PULL`."""
    profiles: tuple[str, ...]
    """IRIs of the policy profiles that it understands."""
    capabilities: tuple[str, ...]
    software: str


def is_one(text: str) -> bool:
    """Whether a YAML text is the description of a participant and not of a data product."""
    return re.search(r"^participant[ \t]*:", text, re.MULTILINE) is not None


def read(text: str, name: str = "participant.yaml") -> Organisation:
    """The participant that a YAML text describes.

    Raises: ConfigurationError for the first fault, with file, line and column; `parsed` tells them all.
    """
    found, faults = parsed(text, name)
    if faults:
        raise faults[0]
    return found


def parsed(text: str, name: str = "participant.yaml") -> tuple[Organisation, tuple[ConfigurationError, ...]]:
    """What could be read of a YAML text, and all faults in it."""
    reader = Reader(name)

    def country(node: yaml.Node) -> str:
        said = reader.scalar(node)
        return _COUNTRIES + said if _COUNTRY.fullmatch(said) else reader.iri(node)

    def capability(node: yaml.Node) -> str:
        return reader.like(node, _CAPABILITY, "capability", "write a word of small letters, such as `anonymisation`")

    def credential(node: yaml.Node) -> str:
        return reader.like(node, _TYPE, "type of credential", "write its name, such as `MembershipCredential`")

    def each(read_one: Callable[[yaml.Node], str]) -> Callable[[yaml.Node], tuple[str, ...]]:
        return lambda node: reader.each(node, read_one)

    words: dict[str, Callable[[yaml.Node], Any]] = {
        "participant": reader.iri, "name": reader.texts, "legal_name": reader.text, "description": reader.texts,
        "identifiers": each(reader.scalar), "country": country, "contact": reader.contact, "homepage": reader.web,
        "sectors": each(lambda one: reader.named(one, document.THEMES, "sector")),
        "capabilities": each(capability), "attestations": each(credential),
    }  # fmt: skip
    try:
        node = compose(text, name)
        found, places = reader.gathered(node, {word: _field(word, value) for word, value in words.items()})
    except ConfigurationError as fault:
        return Organisation(), (fault,)
    return Organisation(**found, places=places), tuple(reader.faults)


def _field(name: str, value: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], Mapping[str, Any]]:
    return lambda node: {name: value(node)}


def members(it: Organisation) -> Tree:
    """The description as JSON-LD; its node adds the service."""
    tree: Tree = {
        "@id": it.participant or None,
        "@type": [f"{_FOAF}Agent", ORGANISATION],
        f"{_FOAF}name": _texts(it.name),
        f"{_SCHEMA}legalName": it.legal_name,
        f"{_DCT}description": _texts(it.description),
        f"{_DCT}identifier": [one for one in it.identifiers if not one.startswith("did:")],
        f"{_AS}alsoKnownAs": [{"@id": one} for one in it.identifiers if one.startswith("did:")],
        f"{_DCT}spatial": {"@id": it.country} if it.country else None,
        f"{_DCAT}contactPoint": {"@id": it.contact} if it.contact else None,
        f"{_FOAF}homepage": {"@id": it.homepage} if it.homepage else None,
        f"{_DCAT}theme": [{"@id": one} for one in it.sectors],
        f"{_KONTOR}capability": list(it.capabilities),
    }
    return {name: value for name, value in tree.items() if value not in (None, [])}


def service(it: Service) -> Tree:
    """The connector as JSON-LD."""
    return {
        "@id": f"{it.address}#service",
        "@type": f"{_DCAT}DataService",
        f"{_DCT}title": it.title,
        # not `dcat:endpointURL`: a term of the protocol under another spelling would make the whole catalogue foreign JSON-LD
        f"{_SCHEMA}url": {"@id": it.address},
        f"{_DCT}conformsTo": [{"@id": one} for one in it.conforms_to],
        f"{_KONTOR}transferFormat": list(it.formats),
        f"{_KONTOR}policyProfile": [{"@id": one} for one in it.profiles],
        f"{_KONTOR}capability": list(it.capabilities),
        f"{_KONTOR}software": it.software,
    }


def _texts(texts: Texts) -> list[Any]:
    return [{"@value": text, "@language": language} if language else text for language, text in texts]


_DRAFT: Final = """\
# What this participant says of itself. Publish it with: kontor describe participant --publish THIS-FILE
participant: {id}
name: {{{language}: {name}}}
# The node adds the connector by itself: its address, protocols, transfer formats, policy profiles and capabilities.

# What follows is for you: take away the `#` of what you can say.
# legal_name: Example Weather GmbH
# description: {{{language}: "What you do, in some sentences."}}
# identifiers: ["LEI 529900EXAMPLE00000000", "urn:example:registry:HRB-1"]
# country: DEU                 # three letters, or the IRI of a country
# contact: data@example.org
# homepage: "https://example.org/"
# sectors: [environment]       # {sectors}, or the IRI of a concept
# capabilities: [anonymisation, labelling]
# attestations: [{held}]       # types of credentials in your wallet that everybody may see
"""


def draft(id_: str, name: str, held: Sequence[str] = (), language: str = "en") -> str:
    """The document for the participant `id_`, whose wallet holds credentials of the types `held`."""
    return _DRAFT.format(
        id=json.dumps(id_, ensure_ascii=False),
        name=json.dumps(name, ensure_ascii=False),
        language=language,
        sectors=", ".join(document.THEMES),
        held=", ".join(held) or "MembershipCredential",
    )
