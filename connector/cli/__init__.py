"""The command `kontor`: one file a subject, each command a few lines around the client, the settings or a pure room.

What lives here: reading arguments, printing results, exit codes. What does not: anything a program would want to import;
that is `connector.client`. Nothing heavy is imported before a command runs, so that `kontor --help` answers at once.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line that this process was started with, and exit with its code."""
    import os
    import sys

    from connector.cli.commands import roof

    # being installed is no consent: what calls itself a plugin of pydantic is not even looked for
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

    # httpx brings a command of its own, and would load rich and a highlighter for it: a third of what the client takes to load.
    # It does without when that module cannot be imported
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    roof(sys.argv[1] if len(sys.argv) > 1 else "")(prog_name="kontor")
