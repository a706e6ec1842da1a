"""Policies that are large, deep or endless, and those just beyond and just within what may be read; `fuzz` puts them to the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from connector.cli import policy_files
from connector.odrl import tree, yamltree

GUARD: dict[str, Any] = {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}


def monsters() -> Iterator[tuple[str, str]]:
    """Texts that are large, deep or endless: (language, text)."""
    deep = 20_000
    yield "json", '{"permission":' * deep + "1" + "}" * deep
    yield "json", '{"permission":[{"action":"use","constraint":' + "[" * deep + "]" * deep + "}]}"
    yield (
        "json",
        json.dumps(
            {"permission": [{"action": [f"urn:a{n}" for n in range(700)], "target": [f"urn:t{n}" for n in range(700)]}]}
        ),
    )
    yield "json", json.dumps({"permission": [{"action": "use", "constraint": [{"or": [GUARD] * 10_000}]}]})
    yield "json", '{"permission": 1' + "0" * 100_000 + "}"
    yield "yaml", "permit: " + "[" * deep
    yield "yaml", "permit: " + "{a: " * deep
    yield (
        "yaml",
        "a: &a [x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)),
    )
    yield "yaml", "permit:\n" + "  - {action: use, when: [membership == active]}\n" * 5_000
    yield "yaml", "x" * 2_000_000
    yield "turtle", "<urn:p> <http://www.w3.org/ns/odrl/2/permission> " + "[ <urn:q> " * deep + "1" + " ]" * deep + " ."
    yield "turtle", "<urn:p> <urn:q> " + "( " * deep + ") " * deep + "."
    yield "turtle", "".join(f"<urn:p> <http://www.w3.org/ns/odrl/2/permission> <urn:r{n}> .\n" for n in range(20_000))
    yield "turtle", "<urn:a> <http://www.w3.org/ns/odrl/2/permission> <urn:a> ; <http://www.w3.org/ns/odrl/2/duty> <urn:a> ."


def bombs() -> Iterator[tuple[str, str]]:
    """Texts just beyond what may be read, each another way to make work out of few characters: (language, text)."""
    yield "yaml", "#" * (yamltree.MAX_CHARACTERS + 1)
    yield "yaml", "permit: [" + "a," * yamltree.MAX_PARTS + "use]"
    yield "yaml", "permit: [use]\nalso: {x: [" + "{}," * yamltree.MAX_PARTS + "1]}"
    yield "json", '{"permission":[' + '{"action":"use"},' * tree.MAX_NODES + '{"action":"use"}]}'
    yield "json", json.dumps({"permission": {"action": "use", "constraint": {"or": [GUARD] * tree.MAX_NODES}}})
    many = [{"x:y": [1] * policy_files.MAX_VALUES}]
    yield "json", json.dumps({"@context": {"x": "urn:x:"}, "@graph": many})
    yield "json", json.dumps({"permission": [{"action": ["use"] * 100, "target": [f"urn:t{n}" for n in range(100)]}] * 3})
    odrl = "@prefix : <http://www.w3.org/ns/odrl/2/> . :p a :Set ; :permission [ :action :use ] ; "
    yield "turtle", odrl + ":z (" + "1 " * policy_files.MAX_WORDS + ") ."
    yield "turtle", odrl + ":z " + "[]," * policy_files.MAX_WORDS + " 1 ."
    yield "turtle", odrl + ":z 1 .\n" + "#\n" * policy_files.MAX_WORDS
    yield "turtle", "#" * (policy_files.MAX_CHARACTERS + 1)


def heavy() -> Iterator[tuple[str, str]]:
    """The same just within what may be read: none may take longer than `_HEAVY_S`."""
    parts, nodes, words = yamltree.MAX_PARTS - 100, tree.MAX_NODES - 10, policy_files.MAX_WORDS - 50
    fill = yamltree.MAX_CHARACTERS - 100
    yield "yaml", "permit:\n" + "- use\n" * (parts // 2)
    yield "yaml", "permit: [" + "use," * parts + "use]"
    yield "yaml", "permit:\n" + "- {action: use, when: [membership == active]}\n" * (parts // 9)
    yield "yaml", "permit:\n" + "- {action: use, when: [<urn:x> == active]}\n" * (parts // 9)
    yield "yaml", "permit: [{action: use, when: ['purpose in [" + "a," * (fill // 2) + "a]']}]"
    yield "yaml", "permit: [{action: use, when: ['purpose in [" + '"a",' * (fill // 4) + "a]']}]"
    yield "yaml", "permit: [{action: use, when: ['" + "a " * (fill // 2) + "']}]"
    yield "yaml", "permit: [use]\nalso: {x: [" + "{}," * (parts // 2 - 10) + "1]}"
    yield "yaml", "permit: [use\n" + "#\n" * (fill // 2)
    yield "json", json.dumps({"permission": [{"action": "use"}] * nodes})
    yield "json", json.dumps({"permission": [{"action": f"urn:a{n}"} for n in range(nodes)]})
    yield "json", json.dumps({"permission": [{"action": "use", f"x{n}": 1} for n in range(nodes)]})
    yield "json", json.dumps({"permission": {"action": "use", "constraint": {"xone": [GUARD] * nodes}}})
    unknown = [{"leftOperand": f"urn:x{n}", "operator": "eq", "rightOperand": "a"} for n in range(nodes)]
    yield "json", json.dumps({"permission": {"action": "use", "constraint": unknown}})
    yield "json", json.dumps({"permission": {"action": "use", "target": [f"urn:t{n}" for n in range(19_000)]}})
    yield "json", json.dumps({"permission": [{"action": ["use"] * 99, "target": [f"urn:t{n}" for n in range(99)]}] * 2})
    yield (
        "json",
        json.dumps(
            {
                "@context": {"x": "urn:x:"},
                "permission": {"action": "use", "x:y": [{"@id": "x:z"}] * (policy_files.MAX_VALUES // 2 - 20)},
            }
        ),
    )
    odrl = "@prefix : <http://www.w3.org/ns/odrl/2/> . :p a :Set ; :permission [ :action :use ] ; "
    yield "turtle", odrl + ":z (" + "1 " * words + ") ."
    yield "turtle", odrl + ":z " + "[]," * (words // 2) + " 1 ."
    yield "turtle", odrl + ":z " + "".join(f"{n}," for n in range(words)) + " 1 ."
