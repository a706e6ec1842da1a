"""The federated catalogue: the members' catalogues in one record, found in milliseconds.

What lives here: looking at members (`crawl`, `looking`, `feed`), what their descriptions say (`reading`, `judging`), the search index
(`words`, `tantivy_index`, `following`), what a viewer may use (`permitted`), and the questions that people and programs ask (`ledger`).
What does not: rows and files of the record (`storage/`), addresses and pages (`web/catalog`).

Who sees what: the record holds what a member showed to the catalogue's own participant, which should hold no claim that a viewer
lacks; it is shown to proven members of the space, or to everybody where the settings say so. What a source hides from the catalogue,
or from a member of which it knows less, is not in the record, so that it cannot be shown.
"""
