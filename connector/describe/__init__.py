"""Self-descriptions: what a data product says of itself, detected, written by a person, checked, and told in DCAT 3.

What lives here: looking at a file (`detect`, `table`), the description document in YAML (`document`, `reading`, `draft`), the members
of a data set in the catalogue made of it (`members`), the rules that a description keeps (`check`) and the same rules as SHACL
(`shapes`), and product codes of the trusted data space (`codes`). What does not: policies, storing assets, the catalogue's answers.

The room stands on floor 4, beside `ports` and `api`: it speaks the protocol's spelling (`dsp`, floor 3) and gives hints as the
policy engine does (`odrl`, floor 2), and the rooms that will read descriptions, the command and a federated catalogue, lie above.
Source: DCAT 3; DCAT-AP 3.0; GB/T 43697-2024; NDI-TR-2025-04 (draft); Regulation (EU) 2023/2854, article 33.
"""
