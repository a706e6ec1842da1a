"""Which data plane moves the data of a new transfer: the built-in one wherever it can, else one that is registered.

What does not live here: which planes there are (`signaling/planes.py`), and driving them (`signals.py`).
"""

from __future__ import annotations

from connector.controlplane.shelf import Item
from connector.controlplane.sources import source_of
from connector.controlplane.terms import TransferWish
from connector.dsp.transfer import DataFlow
from connector.errors import BadMessage, CallerError
from connector.ports.dataplane import DataPlane, ObjectPlace, Source
from connector.ports.signaling import Planes, PlaneWish

_ANY_OBJECT = Source(type="s3", objects=ObjectPlace(bucket="any", key="any"))
"""What the built-in data plane moves in the most formats: as a consumer it takes all of them."""


async def provider_flow(
    planes: Planes | None, data_plane: DataPlane, participant: str, format_: str, item: Item | None
) -> DataFlow | None:
    """The flow of the plane that serves `item`; None where the built-in one does.

    Raises: BadMessage when no data plane can.
    """
    if planes is None or item is None:
        return None
    source = source_of(item.asset)
    if format_ in data_plane.formats(source):
        return None
    wish = PlaneWish(profile=format_, source_type=source.type, labels=item.asset.source.labels)
    plane = await planes.choose(participant, wish)
    if plane is None:
        raise BadMessage(
            f"no data plane serves this dataset as `{format_}` at present", where="format", mend="ask for another, or later"
        )
    return DataFlow(plane=plane)


async def consumer_flow(planes: Planes | None, data_plane: DataPlane, participant: str, wish: TransferWish) -> DataFlow | None:
    """The flow of the plane that takes the data for us: the one that is wished for, or one that knows a format that we do not.

    Raises: CallerError when there is no such plane.
    """
    if wish.plane is None and (planes is None or wish.format in data_plane.formats(_ANY_OBJECT)):
        return None
    plane = await planes.choose(participant, PlaneWish(profile=wish.format, plane=wish.plane)) if planes is not None else None
    if plane is None:
        named = f"`{wish.plane}` serves no" if wish.plane is not None else "no data plane here serves"
        mend = "see `kontor dataplanes list`"
        raise CallerError(f"{named} transfer in the format `{wish.format}`", where="data_plane", mend=mend)
    return DataFlow(plane=plane, is_wanted=True)
