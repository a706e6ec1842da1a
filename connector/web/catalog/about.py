"""What a participant says of itself, for its page: facts, services, and who attests what.

What lives here: values for the template, every one of them a text. What does not: judging it (`federation/judging.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connector.federation import judging, reading
from connector.web.catalog import words

Values = dict[str, Any]
_MOST: int = 40


def shown(body: bytes) -> Values:
    """What the page of a participant shows of its own words."""
    kept = reading.about_of(body)
    tree = kept["description"]
    members = reading.by_name(tree)
    names = reading.texts(tree, "name")
    return {
        "names": [{"lang": lang, "text": text} for lang, text in names[:10]],
        "texts": [{"lang": lang, "text": text} for lang, text in reading.texts(tree, "description")[:10]],
        "facts": list(_rows(_facts(members))),
        "services": [list(_rows(_service(reading.by_name(one)))) for one in list(judging.services(tree))[:10]],
        "proof": "Signed by the participant itself; the signature was verified."
        if kept["isSigned"]
        else "Not signed: it was read from the participant's own catalogue.",
        "attested": [_attested(one) for one in kept["attestations"]],
    }


def signature(signed: str) -> str:
    """How the signature on a description stands, in words."""
    if not signed:
        return "none"
    return "not judged yet" if signed == judging.UNJUDGED else f"verified, by {signed}"


def _facts(members: Mapping[str, Any]) -> Values:
    return {
        "Legal name": _listed(members.get("legalName")),
        "Registered as": _listed(members.get("identifier"), members.get("alsoKnownAs")),
        "Country": ", ".join(reading.last_part(one) for one in reading.named(members.get("spatial"))),
        "Sectors": ", ".join(words.facet_value("theme", one) for one in reading.themes(members)),
        "Capabilities": _listed(members.get("capability")),
        "Contact": _listed(members.get("contactPoint")).replace("mailto:", ""),
        "Homepage": _listed(members.get("homepage")),
    }


def _service(members: Mapping[str, Any]) -> Values:
    return {
        "Address": _listed(members.get("url")),
        "Speaks": _listed(members.get("conformsTo")),
        "Ways of transfer": _listed(members.get("transferFormat")),
        "Policy profiles": _listed(members.get("policyProfile")),
        "Capabilities": _listed(members.get("capability")),
        "Software": _listed(members.get("software")),
    }


def _attested(one: Mapping[str, Any]) -> Values:
    claims = [(name, value) for name, value in one["claims"].items() if isinstance(value, str | int | float)]
    until = str(one["validUntil"] or "")[:10]
    return {
        "what": ", ".join(map(str, one["types"])),
        "by": str(one["issuer"]),
        "until": until,
        "claims": [{"name": str(name), "value": str(value)} for name, value in claims[:_MOST]],
    }


def _listed(*values: Any) -> str:
    found = [text for value in values for text in reading.plain_texts(value)]
    return ", ".join(dict.fromkeys(found[:_MOST]))


def _rows(facts: Values) -> Iterator[Values]:
    return ({"name": name, "value": value} for name, value in facts.items() if value)
