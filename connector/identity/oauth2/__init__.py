"""OAuth2, both sides: the provider of a space, and connectors that prove themselves and others by its tokens.

clients    who may get tokens, and the forms that Authlib reads them in
grants     Authlib's grants and endpoints over what was gathered before: nothing here waits
provider   the provider: gather, let Authlib decide, commit
assertions how a client proves itself with its key, written and judged
member     a participant of such a space: the ports `Verifier` and `TokenSource`

Authlib has the grants' rules and errors; tokens are read and signed by `jose` alone (`authlib.jose` is not used).
Source: RFC 6749 (OAuth 2.0), 7009 (revocation), 7523 (JWT client assertions), 7662 (introspection), 8414 (metadata), 8707 (resource),
9068 (JWT access tokens); IDS-G, DAPS.
"""
