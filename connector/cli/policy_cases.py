"""Folders of our own case files: what `kontor policy conformance` runs beside the public test cases.

The folder holds `index.yaml` and one `*.yaml` a case, as `odrl.cases` reads it. In a case `policy`, `request` and `state` may
also be texts in Turtle or JSON-LD, as their own files would hold them; `state` then stands in place of `given`.

    index.yaml    profiles: names of shipped profiles that the cases use; matrix: what the cases have to cover (`policy_matrix`)
    profile.json  further terms that the cases use

How a matrix of what was covered is counted and printed is in `policy_matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.cli.policy_files import policy_of
from connector.cli.policy_request import request_of
from connector.cli.policy_state import state_of
from connector.cli.texts import json_object, read
from connector.errors import ConfigurationError, KontorError, PolicyError

if TYPE_CHECKING:
    from connector.odrl.cases import Case
    from connector.odrl.compile import Compiled
    from connector.odrl.vocabulary import Vocabulary

INDEX = "index.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One case and how it came out."""

    file: str
    case: Case | None
    compiled: Compiled | None
    # None: the file is no case
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of cases."""

    files: tuple[Path, ...]
    vocabulary: Vocabulary
    matrix: Mapping[str, Any] | None


def open_folder(folder: Path) -> Folder:
    """The cases of a folder, and the vocabulary that they use.

    Raises: ConfigurationError when its index or its profile means nothing.
    """
    from connector.odrl.vocabulary import load
    from connector.packaged import vocab_file

    index = _yaml(folder / INDEX)
    if not isinstance(index, Mapping):
        raise ConfigurationError("the index is no table", where=str(folder / INDEX), mend="write `profiles: [base]`")
    names = ["odrl.json", *(f"profiles/{name}.json" for name in index.get("profiles", ()))]
    paths = [*map(vocab_file, names), *folder.glob("profile.json")]
    files = tuple(sorted(path for path in folder.glob("*.yaml") if path.name != INDEX))
    return Folder(files=files, vocabulary=load(*(json_object(read(path), path) for path in paths)), matrix=index.get("matrix"))


def run(folder: Folder) -> list[Ran]:
    """The results of all cases of a folder, by name. What is wrong with a case is that case's failure."""
    return [_ran(path, folder.vocabulary) for path in folder.files]


def _ran(path: Path, vocabulary: Vocabulary) -> Ran:
    from connector.odrl.cases import compiled, differences

    try:
        case = case_in(path, vocabulary)
        policy = compiled(case, vocabulary)
        return Ran(file=path.name, case=case, compiled=policy, differences=differences(case, policy))
    except (KontorError, ValueError) as fault:
        return Ran(file=path.name, case=None, compiled=None, differences=(str(fault),))


def case_in(path: Path, vocabulary: Vocabulary) -> Case:
    """The one case in a file.

    Raises: PolicyError or BadMessage naming the file and what is wrong in it.
    """
    from connector.odrl import cases

    where = path.name
    tree = _yaml(path)
    if not isinstance(tree, dict):
        raise PolicyError("a case is a table", where=where, mend="one case a file: `name`, `policy`, `expect`")
    texts = {key: tree.pop(key) for key in ("policy", "request", "state") if isinstance(tree.get(key), str)}
    family = policy_of(texts["policy"], where) if "policy" in texts else None
    case = cases.read(tree, where, policy=family.policy if family else None, parents=family.parents if family else None)
    if "request" in texts:
        case = replace(case, request=request_of(texts["request"], where).rules[0].request)
    if "state" in texts:
        from connector import rdf

        state = state_of(rdf.parse(texts["state"], where), vocabulary, where)
        world = replace(state.about((case.request,)), claims=case.world.claims)
        case = replace(case, policy=state.told(case.policy), request=state.asked(case.request), world=world)
    return case


def _yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(read(path))
    except yaml.YAMLError as fault:
        raise ConfigurationError(f"this is no YAML: {fault}", where=str(path), mend="mend it") from fault
