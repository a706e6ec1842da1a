"""A node without the section loads nothing of signaling: only what the section opens imports it."""

from __future__ import annotations

from tests.house.tree import CONNECTOR, files

_ROOMS = ("signaling", "web/signaling", "web/operator/dataplanes", "web/operator/dataflows")
_OPENED = ("app/assembly/signaling", "app/assembly/dataplane")
"""What `app/assembly/opened.py` and `connector.py` import inside their functions alone."""
_IMPORTS = tuple(
    f"{word} connector.{module}"
    for word in ("from", "import")
    for module in ("signaling", "web.signaling", "app.assembly.signaling", "app.assembly.dataplane")
)


def test_nothing_imports_signaling_before_it_is_asked_for() -> None:
    # what stands at the beginning of a line is done when the file is loaded
    found = [
        f"{path.name}: {line}"
        for path in files(CONNECTOR)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(_IMPORTS) and not path.relative_to(CONNECTOR).as_posix().startswith((*_ROOMS, *_OPENED))
    ]
    assert found == []
