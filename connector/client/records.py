"""What can be asked of a node about the use of data and the decisions on it: books of agreements, the decision log, explanations."""

from __future__ import annotations

from connector.api.common import Listing
from connector.api.decisions import Decision, Explanation
from connector.api.usage import ClauseOf, NewPosting, PostingLine, Usage
from connector.client.calls import Call, get, several, written


def usage(participant: str, agreement: str) -> Call[Usage]:
    """What is on record under an agreement, and who sees to each clause of its terms."""
    return get(Usage, *_agreement(participant, agreement), "usage")


def postings(
    participant: str, agreement: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[Listing[PostingLine]]:
    """The lines of an agreement's book, newest first."""
    return get(Listing[PostingLine], *_agreement(participant, agreement), "postings", cursor=cursor, limit=limit)


def post(participant: str, agreement: str, posting: NewPosting) -> Call[Usage]:
    """How an agreement stands after something was put on record."""
    return written("POST", Usage, *_agreement(participant, agreement), "postings", body=posting)


def clauses(participant: str, id_: str, *, of: str = "contract-definitions") -> Call[list[ClauseOf]]:
    """Who sees to each clause of a contract definition's policy, or, `of="policies"`, would see to those of a policy."""
    return several(ClauseOf, "participants", participant, of, id_, "clauses")


def decisions(
    participant: str, *, cursor: str | None = None, limit: int | None = None, **wanted: str | None
) -> Call[Listing[Decision]]:
    """Logged decisions, newest first; `wanted` narrows: question, effect, about, process, peer, policy, inputs, since, until."""
    return get(Listing[Decision], "participants", participant, "decisions", cursor=cursor, limit=limit, **wanted)


def explanation(participant: str, pid: str, language: str | None = None) -> Call[Explanation]:
    """What the engine says of a process now, in one sentence."""
    return get(Explanation, "participants", participant, "processes", pid, "explanation", language=language)


def _agreement(participant: str, agreement: str) -> tuple[str, ...]:
    return "participants", participant, "agreements", agreement
