"""How a function becomes a command: its example in the help, the options that all share, errors on one line, exit codes.

A command is a function with a parameter `out: Output` (adds `--json`) and, when it needs a running node, `access: Access` (adds
`--config`, `--url`, `--api-key-file`, `--participant`). `--debug` comes with each. Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from connector.cli.access import Access
from connector.cli.output import Output, note
from connector.errors import KontorError

ConfigFile = Annotated[Path, typer.Option("--config", help="The node's configuration file.")]

_NODE: dict[str, tuple[Any, Any]] = {
    "config": (ConfigFile, Path("kontor.toml")),
    "url": (
        Annotated[
            str | None, typer.Option("--url", help="Operator address of the node, instead of `--config`; or KONTOR_URL.")
        ],
        None,
    ),
    "api_key_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--api-key-file", help="File with the API key; else KONTOR_API_KEY, else `operator.key` beside `--config`."
            ),
        ],
        None,
    ),
    "participant": (
        Annotated[str | None, typer.Option("--participant", help="The context to act for; needed when the node has several.")],
        None,
    ),
}
_JSON: tuple[Any, Any] = (Annotated[bool, typer.Option("--json", help="Print the result as JSON.")], False)
_DEBUG: tuple[Any, Any] = (Annotated[bool, typer.Option("--debug", help="Print where an error comes from.")], False)


def command(app: typer.Typer, name: str, function: Callable[..., None], *, example: str, **settings: Any) -> None:
    """Make `function` the command `name` of `app`; its docstring is the help, with `example` below.

    Typer reads the signature that is put together here: the function's own parameters, then the shared options.
    """
    own = inspect.signature(function, eval_str=True)
    added = {"debug": _DEBUG}
    if "access" in own.parameters:
        added |= _NODE
    if "out" in own.parameters:
        added["as_json"] = _JSON

    @functools.wraps(function)
    def run(**given: Any) -> None:
        shared = {key: given.pop(key) for key in added}
        if "access" in own.parameters:
            given["access"] = Access(**{key: shared[key] for key in _NODE})
        if "out" in own.parameters:
            given["out"] = Output(as_json=shared["as_json"])
        guarded(lambda: function(**given), debug=shared["debug"])

    keyword = inspect.Parameter.KEYWORD_ONLY
    kept = [p.replace(kind=keyword) for key, p in own.parameters.items() if key not in ("access", "out")]
    more = [inspect.Parameter(key, keyword, default=default, annotation=kind) for key, (kind, default) in added.items()]
    run.__signature__ = inspect.Signature(kept + more)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in kept + more}
    shown = "\n".join(f"  {line}" for line in example.splitlines())
    app.command(name, help=f"{inspect.getdoc(function)}\n\n\b\nExample:\n{shown}", **settings)(run)


def guarded(work: Callable[[], None], *, debug: bool) -> None:
    """Run `work`; what goes wrong is one line on stderr and exit code 1, with `debug` after the whole story."""
    try:
        work()
    except KontorError as error:
        if debug:
            traceback.print_exc()
        note(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        note("stopped")
        raise typer.Exit(130) from interrupt
    except BrokenPipeError as error:
        # whoever reads our output has seen enough; nothing may be written at exit either
        sys.stdout = None
        raise typer.Exit(1) from error
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:
        if debug:
            raise
        words = f"{type(error).__name__}: {' '.join(str(error).split())}; run it again with `--debug` and report what it prints"
        note(f"error: {_refused(error) or words}")
        raise typer.Exit(1) from error


def _refused(error: Exception) -> str:
    """What a model of the API refuses of what was typed, and why; empty for any other error."""
    errors = getattr(error, "errors", None)
    if type(error).__name__ != "ValidationError" or not callable(errors):
        return ""
    first, *more = errors(include_url=False)
    said = str(first["msg"]).removeprefix("Value error, ")
    others = f" ({len(more)} more)" if more else ""
    return f"{said[:1].lower()}{said[1:]} at `{'.'.join(map(str, first['loc'])) or 'the command'}`{others}; see `--help`"
