"""What a change of a policy gains and loses, in words: `gains: read in FR; loses: everything from 2027-01-01`.

The differences are exact: a request lies in a gained box exactly when the new text permits it and the old one does not.
Obligations, which permit nothing, are listed beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.odrl.analyse.boxes import Beyond, Box, bounded, difference
from connector.odrl.analyse.contain import lacking
from connector.odrl.analyse.normal import Forms, doubts, normal_forms
from connector.odrl.analyse.witness import stages
from connector.odrl.analyse.words import tell
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a new policy permits and an old one did not, and the other way round."""

    gains: str = ""
    loses: str = ""
    # in words; empty for nothing
    gained: tuple[Box, ...] = ()
    lost: tuple[Box, ...] = ()
    forms: Forms | None = None
    # the space of the boxes; policy 0 is the old one
    obligations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    # why the policies cannot be compared; then nothing else is said

    @property
    def is_same(self) -> bool:
        """Whether nothing changes."""
        return not (self.gained or self.lost or self.obligations or self.unknown)

    def sentence(self) -> str:
        """The difference in one line."""
        if self.unknown:
            return "cannot be compared: " + "; ".join(self.unknown)
        parts = [f"gains: {self.gains}" if self.gains else "", f"loses: {self.loses}" if self.loses else "", *self.obligations]
        return "; ".join(part for part in parts if part) or "nothing changes"


@bounded
def diff(old: Policy, new: Policy, vocabulary: Vocabulary) -> Difference:
    """What `new` permits beyond `old`, and what it no longer permits.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = (*doubts(old, "the old terms", vocabulary), *doubts(new, "the new terms", vocabulary))
    if unsure:
        return Difference(unknown=unsure)
    try:
        forms = normal_forms(vocabulary, old, new)
        before, after = forms.policies
        gained = _real(forms, difference(after.permits, before.permits))
        lost = _real(forms, difference(before.permits, after.permits))
    except Beyond as beyond:
        return Difference(unknown=(str(beyond),))
    dropped = [one.replace(" is missing", " is dropped") for one in lacking(old, new)]
    added = [one.replace(" is missing", " is new") for one in lacking(new, old)]
    return Difference(
        gains=tell(forms.space, gained, whole=after.permits) if gained else "",
        loses=tell(forms.space, lost, whole=before.permits) if lost else "",
        gained=gained,
        lost=lost,
        forms=forms,
        obligations=(*dropped, *added),
    )


def _real(forms: Forms, boxes: list[Box]) -> tuple[Box, ...]:
    return tuple(box for box in boxes if stages(forms.space, box))
