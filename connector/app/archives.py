"""The whole store of a node in a file, and a store from such a file; with a passphrase the key that opens its secrets, too.

What an archive holds: participants, what they offer, processes, agreements, books, the journal, waiting work, secrets and keys as they
are sealed in the store. What it does not hold is told by `left_out`, so that nobody learns of it on the day it is needed.
The key is sealed under the passphrase: scrypt (N = 2^15, r = 8, p = 3; RFC 7914), then AES-256-GCM.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from connector.app.parts import data_folder, secrets_key
from connector.errors import ConfigurationError
from connector.settings import Settings

_PLACE: Final = ("@archive", "secrets.key")
_MEMBER: Final = "secrets_key"
_LEAST: Final = 16
_NEW_AND_PRIVATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


async def backup(settings: Settings, path: pathlib.Path, passphrase: str | None = None) -> Mapping[str, int]:
    """How many rows of each table were written to the new file `path`; the node may run meanwhile.

    With a passphrase the key that seals secrets and keys is in it, sealed under that.

    Raises: ConfigurationError.
    """
    from connector.storage import archive, source_of

    more: dict[str, Any] = {}
    if passphrase is not None:
        salt = os.urandom(16)
        text = base64.b64encode(secrets_key(settings)).decode()
        more = {_MEMBER: {"salt": salt.hex(), "sealed": _seal(passphrase, salt).seal(*_PLACE, text)}}
    source = source_of(settings.store.url, folder=settings.node.data_dir)
    return await archive.write(source, path, datetime.now(UTC), more=more)


async def restore(
    settings: Settings, path: pathlib.Path, passphrase: str | None = None, *, is_behind: bool = True
) -> Mapping[str, int]:
    """How many rows of each table went from the file `path` into the empty store of the settings, compared field by field.

    The node went on behind the file, unless `is_behind` is False: whatever had not ended in it is compared with the peers then, before
    anything of it goes on.

    With a passphrase the key goes from the file to `data_dir/secrets.key`, where there is none yet.

    Raises: ConfigurationError, before anything is written.
    """
    from connector.controlplane.reconciling import restored_mark
    from connector.storage import archive, source_of

    folder = data_folder(settings)
    key = _opened(archive.head(path), path, passphrase) if passphrase is not None else None
    if key is not None:
        _vet_key(settings, folder / "secrets.key", key)
    mark = restored_mark(str(archive.head(path)["written_at"])) if is_behind else None
    counts = await archive.read(path, source_of(settings.store.url, folder=settings.node.data_dir), mark=mark)
    if key is not None and settings.secrets_key is None and not (folder / "secrets.key").exists():
        with os.fdopen(os.open(folder / "secrets.key", _NEW_AND_PRIVATE, 0o600), "w") as file:
            file.write(key + "\n")
    return counts


def cleared(path: pathlib.Path) -> tuple[str, ...]:
    """What backups that were killed had left in the folder of the archive `path`, and what is gone now: each in words."""
    from connector.storage import drafts

    return tuple(f"`{one.path}` ({one.byte_size / (1 << 20):.1f} MiB)" for one in drafts.cleared(path.absolute().parent))


def written_at(path: pathlib.Path) -> str:
    """The moment that an archive which was restored shows."""
    from connector.storage import archive

    return str(archive.head_of_checked(path)["written_at"])


def left_out(settings: Settings, *, has_key: bool) -> tuple[str, ...]:
    """What of a node is in no archive, each with where it lies or how it comes back."""
    folder = settings.node.data_dir
    found = [
        f"data that pushes brought here: copy `{folder / 'inbox'}` after this, also while the node runs (`cp -a`, `rsync -a`); what"
        " is whole in it never changes"
    ]
    if not has_key:
        where = "`secrets_key` of the settings" if settings.secrets_key is not None else f"`{folder / 'secrets.key'}`"
        found.insert(0, f"the key without which no secret and no private key in it opens: {where}, or `--passphrase-file`")
    if settings.identity.vault is not None:
        found.append("private keys in Vault: they stay there")
    if "catalog" in settings.node.roles:
        found.append("the record of the federated catalogue: it is made anew from its members")
    return tuple(found)


def _seal(passphrase: str, salt: bytes) -> Any:
    from connector.controlplane.secrets import Seal

    if len(passphrase.encode()) < _LEAST:
        raise ConfigurationError("the passphrase is too short", where="--passphrase-file", mend=f"give {_LEAST} bytes or more")
    return Seal(hashlib.scrypt(passphrase.encode(), salt=salt, n=1 << 15, r=8, p=3, maxmem=64 << 20, dklen=32))


def _opened(head: Mapping[str, Any], path: pathlib.Path, passphrase: str) -> str:
    sealed = head.get(_MEMBER)
    if sealed is None:
        mend = "leave `--passphrase-file` out, and bring `secrets.key` yourself"
        raise ConfigurationError("the archive holds no key", where=str(path), mend=mend)
    try:
        text: str = _seal(passphrase, bytes.fromhex(sealed["salt"])).unseal(*_PLACE, sealed["sealed"])
    except ConfigurationError as fault:
        if fault.where == "--passphrase-file":
            raise
        raise ConfigurationError(
            "the passphrase does not open the key", where="--passphrase-file", mend="give the one that the backup was made with"
        ) from fault
    return text


def _vet_key(settings: Settings, file: pathlib.Path, key: str) -> None:
    """Raises: ConfigurationError when the node has another key already: secrets would not open."""
    there = settings.secrets_key or (file.read_text(encoding="utf-8").strip() if file.exists() else key)
    if there != key:
        where = "secrets_key" if settings.secrets_key is not None else str(file)
        mend = "take that away, or restore without `--passphrase-file`"
        raise ConfigurationError("the node has another key than the archive", where=where, mend=mend)
