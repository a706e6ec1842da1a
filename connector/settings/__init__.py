"""Every setting of a node: one TOML file, typed, with a default that is safe and a line that says when to change it.

fields        what every section is made of: secrets, files, ids
node          the process and its surroundings: listeners, store, way out, delivery, data plane
authority     the role `authority`: what it issues, whom it believes
oauth2        the OAuth2 provider of a space, and taking part in a space with one
limits        how much a participant is asked for, and how much of that by one peer
operator      the operator listener: keys, bearer tokens
identity      how participants prove themselves and others by credentials
participant   one participant: who it is, whom it knows, what it decides by itself
signaling     data planes of others, and ours under others
telemetry     where traces are sent
whole         all sections together
reading       from the file, with errors that name file, line, setting and mend
"""

from connector.settings.authority import Authority, IssuedCredential, OtherIssuer
from connector.settings.identity import Identity, Membership, RemoteWallet, TrustedIssuer, Vault, WalletClient
from connector.settings.limits import Bounds, Limits
from connector.settings.node import Data, Delivery, Listener, Node, Outbound, Public, StoreSettings
from connector.settings.oauth2 import OAuth2Client, OAuth2Membership, OAuth2Provider
from connector.settings.operator import ApiKey, Oidc, OidcGrant, Operator
from connector.settings.participant import Participant, Rule, StaticPeer
from connector.settings.reading import line_of, located, read
from connector.settings.signaling import Proof, ServedPlane, Signaling, proof_tree
from connector.settings.telemetry import Telemetry
from connector.settings.whole import Settings

__all__ = [
    "ApiKey",
    "Authority",
    "Bounds",
    "Data",
    "Delivery",
    "Identity",
    "IssuedCredential",
    "Limits",
    "Listener",
    "Membership",
    "Node",
    "OAuth2Client",
    "OAuth2Membership",
    "OAuth2Provider",
    "Oidc",
    "OidcGrant",
    "Operator",
    "OtherIssuer",
    "Outbound",
    "Participant",
    "Proof",
    "Public",
    "RemoteWallet",
    "Rule",
    "ServedPlane",
    "Settings",
    "Signaling",
    "StaticPeer",
    "StoreSettings",
    "Telemetry",
    "TrustedIssuer",
    "Vault",
    "WalletClient",
    "line_of",
    "located",
    "proof_tree",
    "read",
]
