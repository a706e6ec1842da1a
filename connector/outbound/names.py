"""Names of hosts, looked up by the system: in threads, because the system's call waits.

What lives here: `SystemNames`, and `by_system`, the one of this process. What does not: judging what comes back (`rules.py`).

A name whose servers never answer keeps a thread for as long as the system has patience, half a minute and more; whoever waited for it
has long given up by then. Strangers choose such names: by a token, by a callback address.

INVARIANT: names that were found lately have threads that no other name gets. However many names lead nowhere, a node finds whom it
knows.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

_FOR_KNOWN: Final = 128
"""More than strangers can have looked up at once: theirs may all have been known a moment ago."""
_FOR_OTHERS: Final = 16
_MOST_KNOWN: Final = 20_000


class SystemNames:
    """Looks names up, those it knows beside those that it does not."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        """Names whose last look-up brought something, those asked for last at the end."""
        self._for_known = ThreadPoolExecutor(max_workers=_FOR_KNOWN, thread_name_prefix="resolve")
        self._for_others = ThreadPoolExecutor(max_workers=_FOR_OTHERS, thread_name_prefix="resolve-new")

    async def find(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of `host`, as texts. Raises: OSError."""
        threads = self._for_known if host in self._known else self._for_others
        try:
            found = await asyncio.get_running_loop().run_in_executor(threads, _look_up, host, port)
        except BaseException:
            # nor does a name keep its place that has become slow: whoever waited has given up
            self._known.pop(host, None)
            raise
        self._known[host] = None
        self._known.move_to_end(host)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return found


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(entry[4][0]) for entry in found]


by_system: Final = SystemNames()
