"""Where the data of a flow lies that our data plane serves: what the settings say, or what an older control plane says itself.

What lives here: from a dataset id or an address to a source. What does not: reading it (`dataplane/`).
A control plane of the older dialect names the source, with what opens it; only hosts that the settings allow are ever read from, so that
it cannot have us read what it must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from connector.dps.messages import Dialect
from connector.errors import BadMessage
from connector.ports.dataplane import Source
from connector.settings import ServedPlane
from connector.signaling.flows import Flow


def source_of(flow: Flow, settings: ServedPlane) -> Source:
    """The source of a flow.

    Raises: BadMessage for a dataset that is not served, or a source that may not be read.
    """
    if flow.dialect is Dialect.EDC:
        return _named(flow, settings.source_hosts)
    found = settings.datasets.get(flow.dataset_id)
    if found is None:
        raise BadMessage(
            "this data plane does not serve the dataset", where="datasetId", mend="name it in `dataplane.datasets` there"
        )
    place = found.path or found.url or flow.dataset_id
    return Source(
        type=found.type,
        path=found.path,
        url=found.url,
        headers={"Authorization": found.authorization} if found.authorization is not None else None,
        media_type=found.media_type,
        name=place.rstrip("/").rsplit("/", 1)[-1] or "data",
    )


def _named(flow: Flow, hosts: tuple[str, ...]) -> Source:
    address = flow.source
    if address is None or address.endpoint_type.rpartition("/")[2] != "HttpData":
        raise BadMessage("this data plane reads from `HttpData` alone", where="sourceDataAddress", mend="use such a source")
    url = address.property("baseUrl") or ""
    parts = urlsplit(url)
    allowed = parts.scheme in ("http", "https") and parts.hostname is not None and not parts.username
    if not allowed or not any(fnmatchcase(parts.hostname or "", pattern.lower()) for pattern in hosts):
        raise BadMessage(
            "the host of the source is not on the list",
            where="sourceDataAddress",
            mend="add it to `dataplane.source_hosts` there",
        )
    key, code = address.property("authKey"), address.property("authCode")
    headers: Mapping[str, str] | None = {key: code} if key and code and key.isascii() and code.isprintable() else None
    return Source(type="http", url=url, headers=headers, name=parts.path.rsplit("/", 1)[-1] or "data")
