"""Figures 16 and 17: what a policy decision costs, what its report costs, and what comparing policies costs. CPU time throughout.

Figure 16: one permission for each of N assets, each with a moment, an equality and a set; the request asks for the one in the
middle. Baseline is Cedar (cedarpy) on the same rules, its policies and entities parsed beforehand; a policy set of 100,000 is not
asked of it. vakt and pyodre answer the same question where they can be imported, otherwise they are named as not installed.
Figure 17: the same decision with its whole report, containment of two offers of five constraints, a policy of 262 windows of
time, one policy read from JSON-LD and compiled, and the 45 public cases by a process that starts cold.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connector.cli.terms import vocabulary
from connector.odrl import jsonld
from connector.odrl.analyse.contain import Answer, contains
from connector.odrl.compile import Compiled, compile
from connector.odrl.evaluate import decide
from connector.odrl.explain import report
from connector.odrl.model import Policy
from connector.odrl.truth import Decision, Request, World
from tests.bench import figures
from tests.bench.asked import Asked

_SIZES = (1, 1_000, 100_000)
_NOW = datetime(2026, 6, 1, tzinfo=UTC)
_WORLD = World(now=_NOW, claims={"membership": "active"})
_WINDOWS = 262
Work = Callable[[], object]


def run(asked: Asked) -> list[figures.Figure]:
    """All figures."""
    words = vocabulary()
    sizes = [size for size in _SIZES if not asked.is_small or size <= 1_000]
    ours: dict[str, Work] = {}
    for size in sizes:
        ours[f"decision, {size:,} rules"] = _decision(compile(_policy(size), words), size)
    one = compile(_policy(1), words)
    ours["report"] = _reported(one)
    ours["report as JSON, with its sentence"] = lambda: report(decide(one, _request(1), _WORLD, trace=True))
    ours["contained"], ours["not contained, with a witness"] = _compared()
    ours["262 windows"] = _windowed()
    ours["read"] = _read()
    baselines = {f"decision, {size:,} rules": _cedar(size) for size in sizes if size <= 1_000}
    found: dict[str, list[float]] = {name: [] for name in ours}
    theirs: dict[str, list[float]] = {name: [] for name in baselines}
    cold: list[float] = []
    others = _others(asked)
    if "KONTOR_OFFICIAL" not in os.environ:
        asked.tell("official files not given: the public cases are not measured")
    for number in range(asked.rounds):
        for name, work in ours.items():
            found[name].append(_cpu_us(work, asked))
            if name in baselines:
                theirs[name].append(_cpu_us(baselines[name], asked))
        for name, work in others.items():
            theirs.setdefault(name, []).append(_cpu_us(work, asked))
        cold += _cold_s()
        asked.tell(f"round {number + 1}: " + ", ".join(f"{name} {times[-1]:.3g} µs" for name, times in found.items()))
    return _figures(sizes, found, theirs, cold, list(others))


def _figures(
    sizes: list[int], found: dict[str, list[float]], theirs: dict[str, list[float]], cold: list[float], others: list[str]
) -> list[figures.Figure]:
    lines = []
    for size in sizes:
        name = f"decision, {size:,} rules"
        lines.append(_absolute(16, name, found[name], 10, 3, theirs.get(name)))
        if name in theirs:
            lines.append(figures.ratio(16, f"{name}, to cedarpy", found[name], theirs[name], unit="µs"))
    lines += [
        figures.ratio(16, f"decision, 1 rules, to {name}", found["decision, 1 rules"], theirs[name], unit="µs")
        for name in others
    ]
    plain = found["decision, 1 rules"]
    lines += [
        _absolute(17, "decision with its full report", found["report"], 50, 15, plain),
        figures.plain(17, "the same as JSON, with its sentence", found["report as JSON, with its sentence"], unit="µs"),
        _absolute(17, "containment of two 5-constraint offers", found["contained"], 5_000, 300),
        _absolute(17, "the same, not contained, with a witness", found["not contained, with a witness"], 5_000, 300),
        _absolute(17, f"decision, {_WINDOWS} windows", found["262 windows"], 200, 20),
        _absolute(17, "read, check and compile one JSON-LD policy", found["read"], 1_000, 200),
    ]
    if cold:
        lines.append(figures.plain(17, "the 45 public cases, cold process", cold, unit="s", must=2, ambition=1))
    return lines


def _absolute(
    number: int, what: str, ours: list[float], must: float, ambition: float, baseline: list[float] | None = None
) -> figures.Figure:
    figure = figures.plain(number, what, ours, unit="µs", must=must, ambition=ambition)
    return figure if baseline is None else figures.beside(figure, baseline)


def _cpu_us(work: Work, asked: Asked) -> float:
    """CPU time of one call: of as many as fill a fiftieth of a second, or a tenth of that in a small run."""
    count, budget = 1, asked.of(20) / 1_000
    while True:
        begin = time.process_time()
        for _ in range(count):
            work()
        took = time.process_time() - begin
        if took >= budget:
            return took / count * 1e6
        count = max(count * 2, int(count * budget / max(took, 1e-6)))


# --- the case


def _constraint(left: str, operator: str, right: object) -> dict[str, object]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def _rule(number: int) -> dict[str, object]:
    constraints = [
        _constraint("dateTime", "lt", "2027-01-01T00:00:00Z"),
        _constraint("membership", "eq", "active"),
        _constraint("purpose", "isAnyOf", ["research", "statistics"]),
    ]
    return {"action": "read", "target": f"urn:asset:{number}", "constraint": constraints}


def _policy(size: int) -> Policy:
    return jsonld.read(
        {"@id": "urn:p", "@type": "Agreement", "permission": [_rule(number) for number in range(size)]}, max_nodes=5 * size
    )


def _request(size: int) -> Request:
    return Request(action="read", target=f"urn:asset:{size // 2}", party="did:web:a", params={"purpose": "research"})


def _decision(compiled: Compiled, size: int) -> Work:
    request = _request(size)
    _permitted(decide(compiled, request, _WORLD))
    return lambda: decide(compiled, request, _WORLD)


def _reported(compiled: Compiled) -> Work:
    request = _request(1)
    _permitted(decide(compiled, request, _WORLD, trace=True))
    return lambda: decide(compiled, request, _WORLD, trace=True)


def _permitted(decision: Decision) -> None:
    if not decision.is_permitted:
        raise RuntimeError(f"the benchmark's own request is refused: {decision}")


def _compared() -> tuple[Work, Work]:
    def offer(until: str, purposes: list[str], place: tuple[str, str], level: int) -> Policy:
        constraints = [
            _constraint("dateTime", "lt", until),
            _constraint("membership", "eq", "active"),
            _constraint("purpose", "isAnyOf", purposes),
            _constraint("spatial", *place),
            _constraint("securityLevel", "gteq", level),
        ]
        return jsonld.read({"@type": "Offer", "@id": "urn:o", "permission": [{"action": "use", "constraint": constraints}]})

    words = vocabulary()
    wide = offer("2028-01-01Z", ["research", "statistics", "education"], ("isPartOf", "EU"), 2)
    narrow = offer("2027-01-01Z", ["research", "statistics"], ("eq", "DE"), 3)
    if (contains(wide, narrow, words).answer, contains(narrow, wide, words).answer) != (Answer.YES, Answer.NO):
        raise RuntimeError("the benchmark's own offers do not compare as they should")
    return lambda: contains(wide, narrow, words), lambda: contains(narrow, wide, words)


def _windowed() -> Work:
    days = [_NOW + timedelta(days=2 * number) for number in range(_WINDOWS)]
    windows = [
        {"and": [_constraint("dateTime", "gteq", _text(day)), _constraint("dateTime", "lt", _text(day + timedelta(hours=8)))]}
        for day in days
    ]
    tree = {"@id": "urn:w", "@type": "Agreement", "permission": [{"action": "use", "constraint": [{"or": windows}]}]}
    compiled = compile(jsonld.read(tree), vocabulary())
    world = World(now=days[_WINDOWS // 2] + timedelta(hours=1))
    request = Request()
    _permitted(decide(compiled, request, world))
    return lambda: decide(compiled, request, world)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _read() -> Work:
    words = vocabulary()
    tree = {
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@id": "urn:o",
        "@type": "Offer",
        "permission": [_rule(1)],
    }
    text = json.dumps(tree)
    return lambda: compile(jsonld.read(json.loads(text)), words)


def _cold_s() -> list[float]:
    """CPU seconds of a new process that runs the public cases; none where they are not given."""
    official = os.environ.get("KONTOR_OFFICIAL")
    if official is None:
        return []
    before = _children_s()
    command = [sys.executable, "-m", "connector.cli", "policy", "conformance", str(Path(official) / "odrl-tests")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return [_children_s() - before]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- the others


def _cedar(size: int) -> Work:
    import cedarpy

    policies = cedarpy.PolicySet.from_str(
        "\n".join(
            f'permit(principal, action == Action::"read", resource == Asset::"{number}") when {{ context.now < 1798761600 && '
            f'principal.membership == "active" && ["research", "statistics"].contains(context.purpose) }};'
            for number in range(size)
        )
    )
    person = {"uid": {"type": "Party", "id": "a"}, "attrs": {"membership": "active"}, "parents": []}
    entities = cedarpy.Entities.from_json_str(json.dumps([person]))
    request = {
        "principal": 'Party::"a"',
        "action": 'Action::"read"',
        "resource": f'Asset::"{size // 2}"',
        "context": {"now": int(_NOW.timestamp()), "purpose": "research"},
    }
    if not cedarpy.is_authorized(request, policies, entities).allowed:
        raise RuntimeError("cedarpy refuses the benchmark's own request")
    return lambda: cedarpy.is_authorized(request, policies, entities)


def _others(asked: Asked) -> dict[str, Work]:
    """Engines that the lock does not hold, where someone has installed them."""
    found: dict[str, Work] = {}
    for name, make in (("vakt", _vakt), ("pyodre", _pyodre)):
        if importlib.util.find_spec(name) is None:
            asked.tell(f"{name}: not installed, not measured")
        else:
            found[name] = make()
    return found


def _vakt() -> Work:
    vakt: Any = importlib.import_module("vakt")
    rules: Any = importlib.import_module("vakt.rules")
    policy = vakt.Policy(
        "1",
        subjects=[{"membership": rules.Eq("active")}],
        actions=[rules.Eq("read")],
        resources=[rules.Eq("urn:asset:0")],
        context={"now": rules.Less(1798761600), "purpose": rules.In("research", "statistics")},
        effect=vakt.ALLOW_ACCESS,
    )
    storage = vakt.MemoryStorage()
    storage.add(policy)
    guard = vakt.Guard(storage, vakt.RulesChecker())
    inquiry = vakt.Inquiry(
        subject={"membership": "active"},
        action="read",
        resource="urn:asset:0",
        context={"now": int(_NOW.timestamp()), "purpose": "research"},
    )
    if not guard.is_allowed(inquiry):
        raise RuntimeError("vakt refuses the benchmark's own request")
    return lambda: guard.is_allowed(inquiry)


def _pyodre() -> Work:
    pyodre: Any = importlib.import_module("pyodre.odre")
    # it knows neither target nor party, nor sets: one moment is all that it is asked
    tree = {
        "@context": "http://www.w3.org/ns/odrl.jsonld",
        "@type": "Set",
        "uid": "http://example.com/p",
        "permission": [
            {
                "target": "http://example.com/a",
                "action": "read",
                "constraint": [
                    {
                        "leftOperand": "dateTime",
                        "operator": "lt",
                        "rightOperand": {"@value": "2099-01-01", "@type": "http://www.w3.org/2001/XMLSchema#date"},
                    }
                ],
            }
        ],
    }
    text = json.dumps(tree)
    engine = pyodre.ODRE()
    return lambda: engine.enforce(text)
