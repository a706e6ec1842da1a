"""A store is chosen by its URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import ConfigurationError
from connector.storage import open_store
from connector.storage.memory import MemoryStore
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import negotiation, put


async def test_memory_is_forgotten_with_its_store() -> None:
    first, second = (open_store("memory:", node="n", lease_s=30) for _ in range(2))
    assert isinstance(first, MemoryStore)
    place = await put(first, negotiation("one"))
    assert await first.process(place) is not None
    assert await second.process(place) is None


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///kontor.db", "kontor.db"),
        ("sqlite:///below/kontor.db", "below/kontor.db"),
        ("sqlite:///with%20space.db", "with space.db"),
    ],
)
async def test_a_relative_path_lies_in_the_data_folder(tmp_path: Path, url: str, file: str) -> None:
    store = open_store(url, node="n", lease_s=30, folder=tmp_path)
    assert isinstance(store, SqliteStore)
    assert not (tmp_path / file).exists()
    await store.open()
    await store.close()
    assert (tmp_path / file).is_file()


async def test_without_a_folder_a_relative_path_is_one_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///kontor.db", node="n", lease_s=30)
    await store.open()
    await store.close()
    assert (tmp_path / "kontor.db").is_file()


async def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/kontor.db", node="n", lease_s=30, folder=tmp_path / "elsewhere")
    await store.open()
    await store.close()
    assert (tmp_path / "kontor.db").is_file()


@pytest.mark.parametrize("url", ["mysql://host/db", "kontor.db", "", "sqlite", "memory"])
def test_an_unknown_scheme_names_the_known_ones(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"`sqlite:///PATH`, .+, `memory:`"):
        open_store(url, node="n", lease_s=30)


@pytest.mark.parametrize("url", ["sqlite:", "sqlite:///", "sqlite://kontor.db", "sqlite:kontor.db"])
def test_a_sqlite_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no file"):
        open_store(url, node="n", lease_s=30)
