"""The figures, measured: `python -m tests.bench NAME [--json]`; no name lists the benchmarks. Never part of the test suite.

Every benchmark runs the product and its baseline alternately, on the same machine and in the same run, and quotes the median of
the rounds. CPU is user and system time of the measured processes; what makes the load stands outside of them.
"""
