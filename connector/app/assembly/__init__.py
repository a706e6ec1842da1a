"""The parts of a node by subject, each opened after those it stands on.

ground      what every role stands on: store, ways out, clock, participants
identity    who calls, and how we prove who we are
oauth2      the OAuth2 provider of a space, and participants of a space with one
access      who runs the node: keys, bearer tokens
doctor      what the node finds when it looks at itself and at others
connector   the role `connector`: catalogue, contracts, transfers, the data plane
catalog     the role `catalog`: the ledger of data products
opened      the values that pass between them, and all of them together

A further role is a file here that gives a `Role`, and a line in `opened.py`. Libraries and rooms are imported inside the functions:
a node loads what its roles need.
"""
