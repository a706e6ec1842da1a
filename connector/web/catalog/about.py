"""What a participant says of itself, for its page: facts, services, and who attests what.

What lives here: values for the template, every one of them a text. What does not: judging it (`federation/origins.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from connector.federation import judging, origins, reading
from connector.ports.catalog import Product
from connector.web.catalog import words

Values = dict[str, Any]
_MOST: int = 40


_PROOFS: Final = {
    "verified": "Signed by the participant itself; the signature was verified.",
    "unsigned": "Not signed: it was read from the participant's own catalogue.",
    "unjudged": "It is not shown before its signature is judged, which is tried again and again.",
    "refused": "It is not shown, because it is not proven to be its own.",
}


def shown(product: Product, now: datetime) -> Values:
    """What the page of a participant shows of its own words, and by which way they came."""
    said, entry = origins.read(product.entry, now), product.entry
    tree = said.description or {}
    proof, reason = _PROOFS[said.state], ""
    if said.state == "unsigned" and entry.via:
        proof = f"Not signed: it is as `{product.member}` tells it."
    elif said.state in ("unjudged", "refused"):
        reason = said.reason
    members = reading.by_name(tree)
    names = reading.texts(tree, "name")
    return {
        "names": [{"lang": lang, "text": text} for lang, text in names[:10]],
        "texts": [{"lang": lang, "text": text} for lang, text in reading.texts(tree, "description")[:10]],
        "facts": list(_rows(_facts(members))),
        "services": [list(_rows(_service(reading.by_name(one)))) for one in list(origins.services(tree))[:10]],
        "proof": proof,
        "reason": reason,
        "way": f"Told by {' and then '.join(entry.via)}." if entry.via else "",
        "seen": f"{entry.origin_seen_at or product.seen_at:%Y-%m-%d %H:%M} UTC",
        "attested": [_attested(one) for one in said.attestations],
    }


def signature(signed: str) -> str:
    """How the signature on a description stands, in words."""
    if not signed:
        return "none"
    return "not judged yet" if judging.is_unjudged(signed) else f"verified, by {signed}"


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
