"""`python -m tests.conformance.dcp`: the official test kit of the Decentralized Claims Protocol, all three roles, against new nodes.

`roles.py` says how each role's node is set up, `excused.py` what this release of the kit gets wrong in its own documents and
which checks that costs it, `node.py` runs a node composed without those, `__main__.py` puts them together and tells the verdict.
"""
