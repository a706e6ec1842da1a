"""Members by the thousand, generated and served by one process: each at an address of its own in 127.0.0.0/8, with a catalogue of its own.

    python -m tests.bench.crowd PORT PARTICIPANTS PRODUCTS

What a member offers is made from its number alone, so that nothing is kept: titles, descriptions and keywords in one or two of four
languages from the labelled texts of the tests, themes, regions, licences, prices and terms as skewed as those of real portals: few
members offer very much, most offer one thing or two; a few themes and licences cover nearly everything.
POST /change/N lets member N offer something new.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from connector.describe.document import FREQUENCIES, THEMES

CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
_ROWS: Final = Path(__file__).parents[1] / "federation" / "labelled.tsv"
_REGIONS: Final = ("DEU", "FRA", "CHN", "NLD", "AUT", "ITA", "ESP", "POL", "BEL", "SWE", "DNK", "PRT")
_COUNTRY: Final = "http://publications.europa.eu/resource/authority/country/"
_LICENSES: Final = (
    "https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/",
    "https://example.org/licences/members-only", "https://creativecommons.org/licenses/by-nc/4.0/",
)  # fmt: skip
_TYPES: Final = ("text/csv", "application/json", "application/vnd.apache.parquet", "application/xml", "application/geo+json")
_PURPOSES: Final = ("research", "statistics", "education", "commercial", "public-interest")
_PAGE: Final = 1_000
"""Products on one page of a catalogue: the largest members have tens of thousands."""
_NOW: Final = 1_795_000_000
"""November 2026: the youngest data is of then."""


def participant_id(number: int) -> str:
    return f"did:web:m{number}.crowd.example"


def host(number: int) -> str:
    """The address of a member's own in 127.0.0.0/8, never 127.0.0.1."""
    number += 2
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def sizes(participants: int, products: int) -> list[int]:
    """How many products each member has: at least one, few have many (rank to the power of 0.8), together so many."""
    weights = [1 / rank**0.8 for rank in range(1, participants + 1)]
    rest, total = products - participants, sum(weights)
    found = [1 + int(rest * weight / total) for weight in weights]
    for number in range(products - sum(found)):
        found[number % participants] += 1
    random.Random(1).shuffle(found)
    return found


@lru_cache(maxsize=1)
def rows() -> dict[str, list[list[str]]]:
    """The labelled rows by language."""
    found: dict[str, list[list[str]]] = {}
    for line in _ROWS.read_text(encoding="utf-8").splitlines():
        language, *rest = line.split("\t")
        found.setdefault(language, []).append(rest)
    return found


def _policy(chance: random.Random) -> dict[str, Any]:
    kind = chance.choices(range(6), (40, 25, 15, 10, 6, 4))[0]
    rule: dict[str, Any] = {"action": "use"}
    if kind in (1, 4):
        several = sorted(chance.sample(_PURPOSES, chance.randint(1, 3)))
        rule["constraint"] = [{"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": several}]
    elif kind == 2:
        year = chance.randint(2027, 2030)
        rule["constraint"] = [{"leftOperand": "dateTime", "operator": "lt", "rightOperand": f"{year}-01-01T00:00:00Z"}]
    elif kind == 3:
        rule["constraint"] = [{"leftOperand": "spatial", "operator": "eq", "rightOperand": chance.choice(("EU", "CN", "DE"))}]
    elif kind == 5:
        rule["action"] = chance.choice(("read", "derive", "distribute"))
    offer: dict[str, Any] = {"@type": "Offer", "permission": [rule]}
    if kind == 4:
        offer["prohibition"] = [{"action": "distribute"}]
    return offer


def product(member: int, place: int, revision: int) -> dict[str, Any]:
    """The product at a place in a member's catalogue."""
    chance = random.Random(member * 1_000_003 + place * 17 + revision)
    language = chance.choices(("en", "de", "fr", "zh"), (40, 25, 15, 20))[0]
    title, description, _ = chance.choice(rows()[language])
    other = chance.choice(rows()[language])
    year = chance.randint(2009, 2026)
    titles: list[dict[str, str]] = [{"@value": f"{title} {year} ({member}-{place})", "@language": language}]
    texts = [{"@value": f"{description} {other[1]}" * chance.choices((1, 3, 9), (70, 25, 5))[0], "@language": language}]
    if chance.random() < 0.25:
        second = chance.choice([code for code in ("en", "de", "fr", "zh") if code != language])
        titles.append({"@value": f"{chance.choice(rows()[second])[0]} {year}", "@language": second})
    if revision:
        titles[0]["@value"] = f"Freshly changed revision{revision} of member{member}"
    theme = list(THEMES.values())[min(int(chance.expovariate(0.35)), len(THEMES) - 1)]
    day = _NOW - int(chance.expovariate(1 / (300 * 86_400)))
    id_ = f"urn:crowd:{member}:{place}"
    license_ = _LICENSES[min(int(chance.expovariate(1.1)), len(_LICENSES) - 1)]
    tree: dict[str, Any] = {
        "@id": id_,
        "@type": "Dataset",
        "dct:title": titles if len(titles) > 1 else titles[0],
        "dct:description": texts[0],
        "dcat:keyword": [{"@value": word, "@language": language} for word in other[0].split()[:3]],
        "dcat:theme": {"@id": theme},
        "dct:publisher": {"@id": participant_id(member), "http://xmlns.com/foaf/0.1/name": f"Member {member} Ltd"},
        "dct:license": {"@id": license_},
        "dct:spatial": {"@id": _COUNTRY + _REGIONS[min(int(chance.expovariate(0.4)), 11)]},
        "dct:accrualPeriodicity": {"@id": chance.choice(list(FREQUENCIES.values()))},
        "dct:modified": {"@type": "xsd:dateTime", "@value": _day(day)},
        "hasPolicy": [{"@id": f"offer:{id_}", **_policy(chance)}],
    }  # fmt: skip
    if chance.random() < 0.4:
        price = chance.choice((0, 0, 5, 9.9, 49, 250, 1200))
        tree["https://schema.org/priceSpecification"] = {
            "@id": f"{id_}#price",
            "https://schema.org/price": {"@type": "xsd:decimal", "@value": str(price)},
            "https://schema.org/priceCurrency": "CNY" if price in (9.9, 1200) else "EUR",
        }
    media = f"https://www.iana.org/assignments/media-types/{chance.choices(_TYPES, (50, 25, 15, 5, 5))[0]}"
    base = f"https://m{member}.crowd.example/dsp"
    service = {"@id": base, "@type": "DataService", "endpointURL": base}
    tree["distribution"] = [
        {"@type": "Distribution", "format": "HttpData-PULL", "accessService": service, "dcat:mediaType": {"@id": media}}
    ]
    return tree


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def catalog(member: int, size: int, revision: int, begin: int = 0) -> bytes:
    """A page of a member's catalogue, from its product `begin` on; a change is one more product."""
    places = range(begin, min(begin + _PAGE, size + (1 if revision else 0)))
    datasets = [product(member, place, revision if place == size else 0) for place in places]
    base = f"https://m{member}.crowd.example/dsp"
    tree = {
        "@context": [CONTEXT],
        "@id": f"{base}/catalog",
        "@type": "Catalog",
        "participantId": participant_id(member),
        "service": [{"@id": base, "@type": "DataService", "endpointURL": base}],
        "dataset": datasets,
    }
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


_VERSIONS: Final = json.dumps({"protocolVersions": [{"version": "2025-1", "path": "/dsp", "binding": "HTTPS"}]}).encode()


class Crowd(asyncio.Protocol):
    """One connection to whichever member its own end says."""

    sizes: list[int]
    revisions: dict[int, int]
    transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""
        octets = [int(part) for part in transport.get_extra_info("sockname")[0].split(".")]
        self.member = (octets[1] << 16 | octets[2] << 8 | octets[3]) - 2

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if b"content-length:" in head else 0
            if len(self.buffer) < end + 4 + length:
                return
            first = self.buffer[:end].split(b"\r\n", 1)[0].decode().split(" ")
            tag = head.partition(b"if-none-match:")[2].split(b"\r\n")[0].strip().decode()
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(first[0], first[1], tag)

    def answer(self, method: str, path: str, tag: str) -> None:
        if path.startswith("/change/"):
            member = int(path.rpartition("/")[2])
            self.revisions[member] = self.revisions.get(member, 0) + 1
            return self.write(200, b"{}")
        if path == "/health":
            return self.write(200, b"{}")
        if path == "/.well-known/dspace-version":
            return self.write(200, _VERSIONS)
        address, _, begin = path.partition("?from=")
        if address == "/dsp/catalog/request" and 0 <= self.member < len(self.sizes):
            size, revision, first = self.sizes[self.member], self.revisions.get(self.member, 0), int(begin or 0)
            ours = f'"{self.member}-{revision}-{first}"'
            if method == "GET" and tag == ours:
                return self.write(304, b"", ours)
            is_last = first + _PAGE >= size + (1 if revision else 0)
            return self.write(200, catalog(self.member, size, revision, first), ours, 0 if is_last else first + _PAGE)
        return self.write(404, b"{}")

    def write(self, status: int, body: bytes, tag: str = "", following: int = 0) -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        if tag:
            head += f"etag: {tag}\r\n"
        if following:
            head += f'link: </dsp/catalog/request?from={following}>; rel="next"\r\n'
        self.transport.write(f"{head}\r\n".encode() + body)


async def serve(port: int, participants: int, products: int) -> None:
    Crowd.sizes, Crowd.revisions = sizes(participants, products), {}
    server = await asyncio.get_running_loop().create_server(Crowd, "0.0.0.0", port, backlog=1024)
    async with server:
        # whoever started this holds our standard input
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(*(int(word) for word in sys.argv[1:4])))
