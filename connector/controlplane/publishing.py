"""May a policy be published: whether somebody sees to each of its clauses, or the contract definition leaves it to the law.

Pure. What is published, and when, is in `offerings.py`; who sees to what, in `connector.odrl.enforce`.
"""

from __future__ import annotations

from connector.controlplane.participants import Context
from connector.dsp.negotiation import Agreement
from connector.errors import PolicyError
from connector.odrl.enforce import Clause, Enforcers, enforceability
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary


def clauses(policy: Policy, vocabulary: Vocabulary, context: Context, legal_only: tuple[str, ...]) -> tuple[Clause, ...]:
    """Every clause of `policy` with who sees to it, as this participant publishes it."""
    enforcers = Enforcers(consumer=frozenset(context.consumer_operands), legal_only=frozenset(legal_only))
    return enforceability(policy, vocabulary, enforcers)


def agreed(policy: Policy, vocabulary: Vocabulary, agreement: Agreement, known: frozenset[str]) -> tuple[Clause, ...]:
    """Who sees to each clause of the policy of an agreement; `known` is what this node knows of its own use."""
    consumer = frozenset(agreement.consumer_operands)
    enforcers = Enforcers(request=known, consumer=consumer, legal_only=frozenset(agreement.legal_only) - consumer)
    return enforceability(policy, vocabulary, enforcers)


def check(policy: Policy, vocabulary: Vocabulary, context: Context, legal_only: tuple[str, ...]) -> None:
    """Nothing, when somebody sees to each clause.

    Raises: PolicyError naming all clauses that nobody would enforce: whoever agreed to them would believe in vain.
    """
    found = [clause for clause in clauses(policy, vocabulary, context, legal_only) if clause.is_open]
    if not found:
        return
    told = "; ".join(f"`{clause.text}` ({clause.why})" for clause in found[:5])
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(clause.operand for clause in found) if name)
    raise PolicyError(
        f"nobody would enforce {told}",
        where=found[0].where,
        mend=f"mend the clause, or leave {names} to the law: name it in `legal_only` of the contract definition"
        if names
        else "mend the clause, or load the profile that knows it",
    )
