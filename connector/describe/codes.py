"""Product codes of the trusted data space, with their check character.

What lives here: the code of a data product and of a data resource, 32 signs and an extension. What does not: the other format of
the catalogue draft (NDI-TR-2025-06, 8.1), whose two check signs it does not define, and subject codes, which others assign.

A code is: kind (6 product, 7 resource), the subject's code (18), region or industry (4), random (8), check character; then, where a
former identifier is kept, a middle dot and 1 to 32 signs. The check character is over the 31 signs before it.
Source: NDI-TR-2025-04 (draft), identifiers; ISO 7064, MOD 37-2 (GB/T 17710).
"""

from __future__ import annotations

import re
from typing import Final

from connector.errors import BadMessage

_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
PATTERN: Final = r"^[67][0-9A-Z]{30}[0-9A-Z*](·[^\s·]{1,32})?$"
"""How a code looks; that its check character fits is for `checked`."""
_CODE = re.compile(PATTERN)


def check_character(body: str) -> str:
    """The check character of a text of digits and capital letters.

    Source: ISO 7064, MOD 37-2: the sum of the signs by powers of two, with the check, is 1 modulo 37.
    """
    total = 0
    for sign in body:
        total = (total + _SIGNS.index(sign)) * 2 % 37
    return _SIGNS[(1 - total) % 37]


def checked(code: str, where: str = "product_code") -> str:
    """The code, as it was given.

    Raises: BadMessage when it is no product code, or its check character belongs to another.
    """
    if not _CODE.match(code) or code.endswith("\n"):
        raise BadMessage(
            f"`{code[:80]}` is no product code",
            where=where,
            mend="write 6 or 7, subject (18), region or industry (4), random (8), check; then perhaps `·` and 1 to 32 signs",
        )
    wanted = check_character(code[:31])
    if code[31] != wanted:
        raise BadMessage(
            f"the check character of `{code[:32]}` is `{code[31]}` and would be `{wanted}`", where=where, mend="look for a typo"
        )
    return code
