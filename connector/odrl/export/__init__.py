"""Policies in the languages of other engines: Rego, Cedar, SQL, DCQL. What they cannot hold is named, and never makes them laxer.

An exported policy answers what our engine answers at the time of a request, as far as its language goes. A condition that it
cannot hold becomes one that never permits, or, in a prohibition, one that always forbids.
"""
