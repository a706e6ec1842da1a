"""Parts of a node that need a word of their own: the store, the way out, the vocabulary, the key that seals secrets."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector import observe
from connector.errors import ConfigurationError
from connector.settings import Settings

if TYPE_CHECKING:
    from connector.identity.framework import Framework
    from connector.identity.resolver import ResolverRules
    from connector.odrl.vocabulary import Vocabulary
    from connector.outbound.client import OutboundClient
    from connector.ports.store import Store

_SECRETS_KEY_BYTES: Final = 32
_NEW_AND_PRIVATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def data_folder(settings: Settings) -> Path:
    """The folder for everything that the node keeps; it is there afterwards.

    Raises: ConfigurationError when it cannot be made.
    """
    found = settings.node.data_dir
    try:
        found.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        raise ConfigurationError(
            f"the folder `{found}` cannot be made: {(fault.strerror or str(fault)).lower()}",
            where="node.data_dir",
            mend="name a folder that this process may make and write to",
        ) from fault
    return found


def named_store(settings: Settings) -> Store:
    """The store that the settings name, not open yet.

    Raises: ConfigurationError.
    """
    from connector.storage import open_store

    store, node = settings.store, settings.node
    return open_store(store.url, node=node.id, lease_s=store.lease_s, folder=node.data_dir, connections=store.connections)


@contextlib.asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The store that the settings name, for as long as the context is open.

    Raises: SchemaTooNew, ConfigurationError.
    """
    data_folder(settings)
    store = named_store(settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def outbound_client(settings: Settings, *, is_for_upstreams: bool = False) -> OutboundClient:
    """A way out: to peers, or to the upstreams that our own operators name, which may stand on our private network."""
    from connector.outbound.client import OutboundClient
    from connector.outbound.rules import OutboundRules
    from connector.outbound.tls import Tls

    found = settings.outbound
    rules = OutboundRules(
        allow_http=found.unsafe_allow_http or is_for_upstreams,
        allow_loopback=found.unsafe_allow_loopback,
        allow_private=found.unsafe_allow_private or is_for_upstreams,
        allowed_ports=() if is_for_upstreams else found.allowed_ports,
        connect_s=found.connect_timeout_s,
        read_s=found.read_timeout_s,
        total_s=found.total_timeout_s,
        max_answer_bytes=found.max_answer_bytes,
    )
    return OutboundClient(rules, Tls(ca_file=found.ca_file, certificate=found.client_certificate, key=found.client_key))


def exported_traces(settings: Settings) -> Callable[[], None]:
    """Traces are exported from now on; the result ends that.

    Raises: ConfigurationError when the extra is not installed.
    """
    from connector import tracing

    said = settings.telemetry
    headers = {"authorization": said.otlp_authorization} if said.otlp_authorization is not None else {}
    try:
        return tracing.begin(
            said.otlp_url or "", service=said.service, node=settings.node.id, sample_ratio=said.sample_ratio, headers=headers
        )
    except ModuleNotFoundError as fault:
        mend = "install the extra: `kontor-connector[otel]`"
        raise ConfigurationError("OpenTelemetry is not installed", where="telemetry.otlp_url", mend=mend) from fault


def vet_providers(settings: Settings) -> None:
    """Nothing, when the providers whose tokens are taken may be asked where the settings say.

    Raises: ConfigurationError for plain http without `outbound.unsafe_allow_http`.
    """
    if settings.outbound.unsafe_allow_http:
        return
    named = {f"participants.{name}.oauth2": one.oauth2.addresses for name, one in settings.participants.items() if one.oauth2}
    if settings.operator.oidc is not None:
        named["operator.oidc"] = settings.operator.oidc.addresses
    for where, addresses in named.items():
        plain = [address for address in addresses if not address.startswith("https:")]
        if plain:
            raise ConfigurationError(
                f"`{plain[0]}` is plain http: whoever is on the way could make itself anybody",
                where=where,
                mend="use https, or set `outbound.unsafe_allow_http`",
            )


def known_vocabulary(profiles: tuple[Path, ...] = (), names: tuple[str, ...] = ()) -> Vocabulary:
    """What the words of policies mean: ODRL, the profiles that ship with the product, `profiles` of the operator, and the
    functions behind the entry points `names`.

    Raises: ConfigurationError when a profile or an entry point is not there, or means nothing.
    """
    return _vocabulary(profiles, names) if profiles or names else _shipped_vocabulary()


@functools.cache
def _shipped_vocabulary() -> Vocabulary:
    """Without anything of the operator's: understood once for all roles of this process."""
    return _vocabulary((), ())


def _vocabulary(profiles: tuple[Path, ...], names: tuple[str, ...]) -> Vocabulary:
    import orjson

    from connector import plugins
    from connector.odrl import vocabulary
    from connector.packaged import folder

    root = folder("vocab")
    shipped = sorted((root / "profiles").glob("*.json"))
    read = [orjson.loads(path.read_bytes()) for path in (root / "odrl.json", *shipped)]
    for path in profiles:
        try:
            read.append(orjson.loads(path.read_bytes()))
        except (OSError, ValueError) as fault:
            mend = "name a JSON file as those in `vocab/profiles`"
            raise ConfigurationError(f"the profile cannot be read: {fault}", where=f"profiles, {path}", mend=mend) from fault
    return vocabulary.load(read[0], *read[1:], functions=plugins.load(names)[plugins.OPERANDS])


def secrets_key(settings: Settings) -> bytes:
    """The key that seals stored secrets: from the settings, or from `data_dir/secrets.key`, made at the first start.

    Raises: ConfigurationError when it is not 32 bytes in base64.
    """
    text, where = settings.secrets_key, "secrets_key"
    if text is None:
        path = data_folder(settings) / "secrets.key"
        where = str(path)
        try:
            text = _kept_key(path)
        except (OSError, UnicodeDecodeError) as fault:
            said = getattr(fault, "strerror", None) or str(fault)
            mend = "let this process read it, and make it where there is none; or name a key in `secrets_key`"
            raise ConfigurationError(
                f"the key that seals secrets cannot be read: {said.lower()}", where=where, mend=mend
            ) from fault
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _SECRETS_KEY_BYTES:
        mend = "give 32 random bytes as base64; secrets that were sealed with another key do not open any more"
        raise ConfigurationError("this is no key that seals secrets", where=where, mend=mend)
    return key


def _kept_key(path: Path) -> str:
    with contextlib.suppress(FileExistsError), os.fdopen(os.open(path, _NEW_AND_PRIVATE, 0o600), "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(_SECRETS_KEY_BYTES)).decode() + "\n")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        observe.warning("node.key_is_readable", file=str(path), mend="take the rights of others away: chmod 600")
    return path.read_text(encoding="utf-8").strip()


def resolver_rules(settings: Settings) -> ResolverRules:
    """How identities of others are looked up, and how many of strangers are waited for at once.

    Strangers never have more than a quarter of the places that the node, or a participant, has for requests.
    """
    from connector.identity.places import PlaceRules
    from connector.identity.resolver import ResolverRules

    reach, bounds = settings.outbound, (settings.limits.requests_at_once, settings.limits.participant.requests_at_once)
    most = min(PlaceRules().at_once, *(one // 4 for one in bounds if one is not None))
    return ResolverRules(
        places=PlaceRules(at_once=max(1, most)),
        unsafe_http=reach.unsafe_allow_http,
        unsafe_local=reach.unsafe_allow_loopback or reach.unsafe_allow_private,
    )


def trust_frameworks(settings: Settings) -> Mapping[str, Framework]:
    """The trust frameworks that the settings name, by id; those that participants name are among them.

    Raises: ConfigurationError with file and line.
    """
    from connector.identity.framework_file import read, together

    found = []
    for path in settings.identity.trust_frameworks:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            what = f"the trust framework cannot be read: {getattr(fault, 'strerror', None) or fault}"
            raise ConfigurationError(what, where=str(path), mend="see `identity.trust_frameworks`") from fault
        found.append(read(text, path.name))
    known = together(found)
    parts = [("identity.membership", settings.identity.membership)]
    parts += [(f"participants.{n}.identity", p.identity) for n, p in settings.participants.items() if p.identity is not None]
    for where, part in parts:
        for id_ in part.spaces:
            if id_ not in known:
                mend = "add its file to `identity.trust_frameworks`"
                raise ConfigurationError(f"no file defines the space `{id_}`", where=f"{where}.spaces", mend=mend)
    return known
