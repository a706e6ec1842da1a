"""What every test can ask for. Fixtures of one room stand in that room's own conftest."""

from __future__ import annotations

import functools
import gc
import logging
import os
import pathlib
import sys
from collections.abc import Iterator

import httpx
import hypothesis
import pytest

from tests.examples import examples

_NOT_GIVEN = "official files not given"
_NO_POSTGRES = "PostgreSQL server not given"
_NO_S3 = "S3 server not given"
_NO_AZURE = "Azure Blob server not given"
_NO_NATS = "NATS server not given"
_NO_CHROMIUM = "browser not given"
_NO_DEPLOYMENT = "deployment proofs not asked for"

# what one process of the suite compiles, the next one finds: dozens of nodes and commands start with what an installed one has
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# each client reads the authorities of its library anew, for longer than most tests take: once is enough for all of them
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)

# a slow machine is no fault of the property
hypothesis.settings.register_profile("suite", deadline=None, max_examples=examples(40))
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Takes away what a test configured for the log: the stream it wrote to is closed when the test is over."""
    root, house = logging.getLogger(), logging.getLogger("kontor")
    before, levels = tuple(root.handlers), (root.level, house.level)
    yield
    for handler in tuple(root.handlers):
        if type(handler).__module__ == "connector.observe" and handler not in before:
            root.removeHandler(handler)
    root.setLevel(levels[0])
    house.setLevel(levels[1])


@pytest.fixture
def official() -> pathlib.Path:
    """The folder with the standards' own files that `KONTOR_OFFICIAL` names; without it the check is not run and is counted."""
    folder = os.environ.get("KONTOR_OFFICIAL")
    if not folder:
        pytest.skip(_NOT_GIVEN)
    path = pathlib.Path(folder)
    assert path.is_dir(), f"KONTOR_OFFICIAL names {folder}, which is not a folder"
    return path


@pytest.fixture
def postgres() -> str:
    """The URL of the server that `KONTOR_POSTGRES` names; without it the check is not run and is counted."""
    url = os.environ.get("KONTOR_POSTGRES")
    if not url:
        pytest.skip(_NO_POSTGRES)
    return url


@pytest.fixture
def s3() -> str:
    """The URL, with keys, of the server that `KONTOR_S3` names; without it the check is not run and is counted."""
    url = os.environ.get("KONTOR_S3")
    if not url:
        pytest.skip(_NO_S3)
    return url


@pytest.fixture
def azure() -> str:
    """The URL, with account and key, of the server that `KONTOR_AZURE` names; without it the check is not run and is counted."""
    url = os.environ.get("KONTOR_AZURE")
    if not url:
        pytest.skip(_NO_AZURE)
    return url


@pytest.fixture
def nats() -> str:
    """The URL, with user and password, of the server that `KONTOR_NATS` names; without it the check is not run and is counted."""
    url = os.environ.get("KONTOR_NATS")
    if not url:
        pytest.skip(_NO_NATS)
    return url


@pytest.fixture
def chromium() -> str:
    """The path of the browser that `KONTOR_CHROMIUM` names; without it the check is not run and is counted."""
    path = os.environ.get("KONTOR_CHROMIUM")
    if not path:
        pytest.skip(_NO_CHROMIUM)
    return path


@pytest.fixture(scope="session")
def deployment() -> None:
    """For proofs that install programs: run when `KONTOR_DEPLOYMENT` is set; without it they are counted."""
    if not os.environ.get("KONTOR_DEPLOYMENT"):
        pytest.skip(_NO_DEPLOYMENT)


# files that take longest, in this order: a process that began one of them last would work on alone
_FIRST = (
    "test_readme.py",
    "cli/test_demo.py",
    "cli/test_exchange.py",
    "scenarios/",
    "attacks/",
    "cli/",
    "signaling/",
    "dataplane/",
    "app/",
    "official/",
    "odrl/",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the files that take longest first: `make test` hands them to its processes in this order."""
    here = pathlib.Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next((number for number, name in enumerate(_FIRST) if path.startswith(name)), len(_FIRST))

    items.sort(key=place)


def pytest_collection(session: pytest.Session) -> None:
    """Nothing of what is collected is garbage: it is not looked through again and again while it grows."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """All that has been collected stays to the end: collections during the tests leave it alone."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints one line for all checks of a kind that were not run."""
    for reason in (_NOT_GIVEN, _NO_POSTGRES, _NO_S3, _NO_AZURE, _NO_NATS, _NO_CHROMIUM, _NO_DEPLOYMENT):
        skipped = [report for report in terminalreporter.stats.get("skipped", []) if reason in str(report.longrepr)]
        if skipped:
            terminalreporter.write_line(f"{reason}: {len(skipped)} checks not run")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Trees and bytes are named after their argument: their contents are long, and may be made anew in each process."""
    return argname if isinstance(val, dict | list | tuple | bytes) and val else None
