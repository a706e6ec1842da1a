"""The tests of Kontor. The tree mirrors `connector/`; conformance/ and bench/ are programs and not part of the suite."""
