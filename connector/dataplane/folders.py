"""A folder as one push: the manifest first, then each file that the receiver has not, then the manifest again.

What lives here: the sender's side. The manifest goes to `<address>/manifest`, a file to `<address>/files/<path>`; each file is
resumed and checked on its own, as any push is. The receiver says that it is complete when it has all of the last manifest.
What does not: the receiver's side (`shelf.py`), attempts (`push.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

from connector.dataplane.addresses import Destination
from connector.dataplane.cargo import Cargo, of_rest
from connector.dataplane.manifests import MANIFEST_TYPE, Entry, Manifests, Tree
from connector.dataplane.sending import Moved, Sender, Way
from connector.dataplane.sources import Places, media_type_of
from connector.dataplane.streams import Stream
from connector.errors import NotFound, PeerAnswer, PeerMessage, SourceError
from connector.outbound.rules import shown
from connector.ports.dataplane import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What pushing folders needs."""

    places: Places
    manifests: Manifests
    sender: Sender

    async def attempt(self, goal: Destination, source: Source, way: Way, stream: Stream) -> Moved:
        """One attempt to push all of a folder.

        Raises: KontorError when the receiver does not have everything after it; PeerMessage when it takes no folders.
        """
        if not goal.takes_folders:
            raise PeerMessage(
                "the receiver takes one file and this is a folder", where=shown(goal.url), mend="offer it for pull"
            )
        tree = self.places.tree(source)
        # 1. what there is now, with every digest: a file that changed since the last attempt is another file
        manifest = await self.manifests.describe(tree, stream.moved)
        body, at = manifest.written(), replace(goal, url=f"{goal.url}/manifest")
        here = await self.sender.announce(at, body, MANIFEST_TYPE)
        # no more than there is, however much is claimed
        way.offset = min(here.offset, manifest.byte_size)
        # 2. the files that are missing
        if not here.is_complete:
            for path, entry in manifest.entries.items():
                stream.moved()
                sent = await self._send(goal, tree, path, entry, stream, is_new=here.is_new)
                way.offset = min(way.offset + sent, manifest.byte_size)
            # 3. whether that is all
            here = await self.sender.announce(at, body, MANIFEST_TYPE)
        if not here.is_complete:
            raise PeerAnswer(
                f"the receiver has {here.offset} bytes of the folder only", answer_status=202, where=shown(goal.url)
            )
        return Moved(byte_size=manifest.byte_size, digest=manifest.digest())

    async def _send(self, goal: Destination, tree: Tree, path: str, entry: Entry, stream: Stream, *, is_new: bool) -> int:
        """How many bytes were sent."""
        at = replace(goal, url=f"{goal.url}/files/{quote(path)}")
        offset = 0
        if not is_new:
            here = await self.sender.ask(at)
            if here.is_complete:
                return 0
            offset = here.offset if here.offset < entry.byte_size else 0
        try:
            async with tree.opened(path) as file:
                if (file.byte_size, file.version) != (entry.byte_size, entry.version):
                    raise SourceError("a file changed while its folder was pushed", where=path)
                cargo = Cargo(
                    file.chunks(offset, file.byte_size - offset, path),
                    offset=offset,
                    byte_size=file.byte_size,
                    digest=entry.digest,
                    media_type=media_type_of(path),
                    content_digest=await of_rest(file, offset, stream.moved),
                )
                await self.sender.send(at, cargo, path.rpartition("/")[2], stream)
                return file.byte_size - offset
        except NotFound as fault:
            raise SourceError("a file vanished while its folder was pushed", where=path) from fault
