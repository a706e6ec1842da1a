"""Decisions of the policy engine, as they were logged, and as they stand now."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from connector.api.common import Shown, Tree
from connector.api.usage import ClauseOf

QuestionName = Literal["catalog", "negotiate", "terms", "offer", "agree", "transfer", "ongoing", "request", "collect"]
EffectName = Literal["permit", "deny", "void"]
LanguageName = Literal["en", "de", "zh"]


class Decision(Shown):
    """One decision as it was logged."""

    number: int = Field(description="Its place in the log, counted from 1.")
    at: datetime
    question: QuestionName | None = Field(
        default=None, description="What was asked; null for a line that counts lost decisions."
    )
    role: str | None = None
    effect: EffectName | None = None
    policy: str | None = Field(
        default=None, description="Digest of the policy's canonical form: `sha256:` and hexadecimal digits."
    )
    about: str | None = Field(default=None, description="Id of the offer or agreement.")
    against: str | None = Field(
        default=None, description="Digest of the rules of the other side's terms, where two policies were compared."
    )
    count: int = Field(default=1, description="So many offers of one catalogue request came to this under the same policy.")
    offers: list[str] = Field(default_factory=list, description="Their ids, the first hundred.")
    process: str | None = None
    peer: str | None = None
    dataset: str | None = None
    inputs: str | None = Field(
        default=None, description="SHA-256 of what it was made from: the same inputs have the same hash."
    )
    case: Tree | None = Field(
        default=None,
        description="What it was made from, as a case file spells it; null where `decision_inputs` does not keep it.",
    )
    grounds: list[str] = Field(
        default_factory=list,
        description="What let the peer in: anchors, and versions of the lists of participants, issuers and status.",
    )
    because: list[dict[str, Any]] = Field(
        default_factory=list,
        description="What failed: code, place, operand; or code and text, where two policies were compared.",
    )
    deferred: list[dict[str, Any]] = Field(default_factory=list, description="What was left for later, or for the law.")
    valid_until: datetime | None = None
    micros: int | None = Field(default=None, description="How long the engine took, in microseconds.")
    lost: int | None = Field(default=None, description="So many decisions before this line could not be written.")


class Explanation(Shown):
    """What the engine says of a process now, in one sentence, and who sees to each clause of its terms."""

    sentence: str = Field(description="Empty where there is nothing to decide on this side.")
    deferred: list[str] = Field(description="Operands that are judged later.")
    legal_only: list[str] = Field(description="Operands that are agreed and not technically enforced.")
    missing: list[str] = Field(description="What would have to be stated or proven.")
    clauses: list[ClauseOf]
