"""The federated catalogue's addresses on the public listener, below `/catalog`: pages for people, JSON for programs, and the protocol.

viewers   who looks: a proven member, or nobody known
asked     a query out of an address
api       JSON: search, products, participants, statistics, reports, the change feed, announcements
protocol  the ledger as a catalogue of the Dataspace Protocol, whose entries link to the members' own
notices   saved searches and notices of what is wanted
pages     the same for people: HTML without scripts
words     what is said on pages: policies in plain words, names of facets
"""
