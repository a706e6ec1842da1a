"""A word of `kontor` with words of its own, of which the list is what one gets without any."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class OrList(TyperGroup):
    """Whoever says no word gets the list."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def listing(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """The new word `name` of `app`, for words of its own to be added to, `list` among them."""
    group = typer.Typer(cls=OrList, help=about, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group
