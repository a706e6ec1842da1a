"""The Dataspace Protocol 2025-1 as pure values and functions: messages, wire, tables, steps, catalogue shapes.

No await, network, files, clock, randomness or logs: the current time and new identifiers are arguments.
"""
