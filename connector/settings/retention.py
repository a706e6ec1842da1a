"""How long what has ended is kept."""

from __future__ import annotations

from pydantic import Field

from connector.settings.fields import Section

_MOST = 36_500


class Retention(Section):
    """Days after their end; 0 keeps them for ever. Agreements, and the negotiations that led to them, always stay.

    What is freed is used again. Where much is free, the file of a SQLite store shrinks by itself, in small steps; that of an earlier
    release after `kontor compact`. PostgreSQL's autovacuum cuts off what is free at the end of a table; `kontor compact --full` the rest.
    """

    processes_days: int = Field(
        365, ge=0, le=_MOST, description="Negotiations without an agreement, transfers, and given-up background work."
    )
    messages_days: int = Field(
        90,
        ge=0,
        le=_MOST,
        description="Answers to a peer's messages and delivery attempts of ended processes; the timeline stays.",
    )
    inbox_days: int = Field(
        0, ge=0, le=_MOST, description="Data that pushes brought here; set it where the data is taken over by other systems."
    )
    unfinished_days: int = Field(
        7, ge=0, le=_MOST, description="Data that arrived in part before its transfer ended: nobody can finish it any more."
    )
    journal_days: int = Field(
        0,
        ge=0,
        le=_MOST,
        description="Entries of the journal (decisions, operators' acts); trimmed visibly, never in the middle.",
    )
    sweep_every_s: float = Field(3600, gt=0, description="Pause between two looks for what is over.")
