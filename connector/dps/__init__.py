"""Data plane signaling, pure: what a control plane and its data planes say to each other inside one organisation.

flow       the states of a data flow, what moves them, and what a transfer profile says
messages   the messages as values, whichever dialect they came in
standard   reading and writing the Eclipse standard (plain JSON), v1.0-RC3 with the name that RC4 has for the flow
legacy     reading and writing what EDC up to 0.17 and Tractus-X speak (JSON-LD)
addresses  data addresses, as loosely as they are found
"""
