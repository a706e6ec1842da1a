"""Where the data of an asset lies, and how the node gets at it.

What lives here: the models of sources. What does not: what is offered on which terms (`offerings.py`).
"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from connector.api.common import Asked, Id

_STORES: Final = {"s3": "region", "azure": "account", "gcs": ""}
"""The object stores, each with the member that it alone has."""


class Login(Asked):
    """How the stored secret of a source proves us to an upstream."""

    type: Literal["basic", "bearer", "oauth2", "certificate"] = Field(
        description="`basic`: the secret is `USER:PASSWORD`; `bearer`: a token; `oauth2`: `CLIENT_ID:CLIENT_SECRET` of the client"
        " credentials grant; `certificate`: our certificate chain and its private key, PEM (mTLS)."
    )
    token_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="`oauth2`: where tokens are got.",
        examples=["https://login.example.org/token"],
    )
    scope: str = Field(default="", max_length=2000, description="`oauth2`: the scopes to ask for, between blanks.")

    @model_validator(mode="after")
    def _token_url_fits(self) -> Self:
        if self.type == "oauth2" and self.token_url is None:
            raise ValueError("a login of type `oauth2` needs `token_url`")
        if self.type != "oauth2" and (self.token_url is not None or self.scope):
            raise ValueError(f"a login of type `{self.type}` has no `token_url` and no `scope`; leave them out")
        return self


class Passes(Asked):
    """What of a consumer's request reaches an upstream; by default nothing but the wish to read what `url` names."""

    methods: tuple[Literal["GET", "POST"], ...] = Field(
        default=("GET",),
        min_length=1,
        description="How it may be asked; a POST carries the consumer's body.",
        examples=[["GET", "POST"]],
    )
    path: bool = Field(default=False, description="Whether consumers may name a path below `url`.")
    query: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Names of query parameters that pass; `*` for all. Those that `url` itself sets stay as they are.",
        examples=[["station", "from", "to"]],
    )
    errors: bool = Field(
        default=False, description="Pass on how the upstream describes an error; without it consumers get the status alone."
    )


class AssetSource(Asked):
    """Where the data of an asset lies; a peer never sees it."""

    type: Literal["file", "folder", "http", "s3", "azure", "gcs", "nats", "none"] = Field(
        description="`file` and `folder` lie on the node, `http` is an upstream, `s3`, `azure` (Blob Storage) and `gcs` (Google Cloud"
        " Storage) are object stores, `nats` is a stream of events (JetStream), `none` is moved by others."
    )
    path: str | None = Field(default=None, description="`file`, `folder`: absolute path on the machine of the node.")
    url: str | None = Field(
        default=None,
        pattern=r"^((https?)://[^\s]+|(nats|tls)://[^\s/?#@]+)$",
        description="`http`: address of the upstream; `nats`: of the server, `nats://host:port` or `tls://host:port`.",
    )
    stream: str | None = Field(default=None, pattern=r"^[^\s.*>/\\]{1,255}$", description="`nats`: name of the stream.")
    subject: str | None = Field(
        default=None, pattern=r"^[^\s]{1,255}$", description="`nats`: only messages of this subject, with NATS's wildcards."
    )
    new_only: bool = Field(
        default=False,
        description="`nats`: transfers begin with what comes after their start; else with the oldest message there is.",
    )
    bucket: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{3,255}$", description="Object stores: the bucket; `azure`: the container."
    )
    key: str | None = Field(
        default=None,
        max_length=1024,
        description="Object stores: key of an object; a prefix that ends in `/`, or nothing, is a folder.",
    )
    account: str | None = Field(default=None, pattern=r"^[a-z0-9]{3,24}$", description="`azure`: the storage account.")
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+(/[a-z0-9]{3,24})?/?$",
        description="Object stores: address of the store, `azure`: of the account; that of Amazon, Azure or Google when left out.",
    )
    region: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]{1,64}$", description="`s3`: region; `us-east-1` when left out."
    )
    proxied: bool = Field(
        default=False, description="`s3`: consumers never read from the store itself: `S3-PULL` goes through the node, too."
    )
    secret: Id | None = Field(
        default=None,
        description="Name of the stored secret. `http`: what `login` says, without one the whole value of `secret_header`;"
        " `s3`: `ACCESS_KEY:SECRET_KEY`, or with a session token `ACCESS_KEY:SECRET_KEY:TOKEN`; `azure`: the account's key, or a"
        " shared access signature; `gcs`: the key of a service account, JSON; `nats`: `USER:PASSWORD`, a token, the seed of a user's"
        " NKey (`SU...`), a credentials file (JWT and seed), or a certificate with its key (PEM), alone or before one of them.",
    )
    secret_header: str = Field(
        default="Authorization",
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="`http` without `login`: header that carries the secret.",
    )
    login: Login | None = Field(default=None, description="`http`: how the secret proves us to the upstream.")
    labels: tuple[Id, ...] = Field(
        default=(), max_length=32, description="`none`: labels that the external data plane must have, all of them."
    )
    passes: Passes = Field(default_factory=Passes, description="`http`: what of a consumer's request reaches the upstream.")

    @model_validator(mode="after")
    def _place_fits_type(self) -> Self:
        is_store = self.type in _STORES
        needed = "bucket" if is_store else {"file": "path", "folder": "path", "http": "url", "nats": "url"}.get(self.type)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"a source of type `{self.type}` needs `{needed}`")
        stray = {"path", "url", "bucket", "key", "endpoint", "account", "region", "stream", "subject"} - {needed}
        if self.type == "nats":
            stray -= {"stream", "subject"}
        if is_store:
            stray = {"path", "url", "stream", "subject"} | ({"account", "region"} - {_STORES[self.type]})
        for member in sorted(stray):
            if getattr(self, member) is not None:
                raise ValueError(f"a source of type `{self.type}` has no `{member}`; leave it out")
        if self.path is not None and not self.path.startswith("/"):
            raise ValueError("`path` is not absolute; the node does not know your working directory")
        if self.key is not None and not _is_key(self.key):
            raise ValueError("`key` has an empty step, `.` or `..`; write it as `folder/file` or `folder/`")
        if self.proxied and self.type != "s3":
            raise ValueError(f"a source of type `{self.type}` is always read through the node; leave `proxied` out")
        if self.type != "http" and (self.login is not None or self.passes != Passes()):
            raise ValueError(f"a source of type `{self.type}` is no upstream; leave `login` and `passes` out")
        if self.login is not None and self.secret is None:
            raise ValueError("a `login` needs `secret`: the name of the stored secret")
        if self.type == "azure" and self.account is None:
            raise ValueError("a source of type `azure` needs `account`")
        if self.type != "azure" and self.endpoint is not None and "/" in self.endpoint.partition("://")[2].rstrip("/"):
            raise ValueError("`endpoint` has a path; name the store alone")
        if self.labels and self.type != "none":
            raise ValueError(f"a source of type `{self.type}` is moved by this node; leave `labels` out")
        if self.url is not None and (self.type == "http") is not self.url.startswith("http"):
            raise ValueError(f"`url` is no address for a source of type `{self.type}`")
        if self.type == "nats" and self.stream is None:
            raise ValueError("a source of type `nats` needs `stream`")
        if self.new_only and self.type != "nats":
            raise ValueError(f"a source of type `{self.type}` has no `new_only`; leave it out")
        if self.secret is not None and self.type not in ("http", "nats") and not is_store:
            raise ValueError(f"a source of type `{self.type}` needs no `secret`; leave it out")
        return self


def _is_key(key: str) -> bool:
    return not key or not any(step in ("", ".", "..") for step in key.removesuffix("/").split("/"))
