"""`python -m tests.conformance.dsp`: the official test kit of the Dataspace Protocol against freshly started nodes.

`cases.py` says what each test needs, `setup.py` sets a node up, `adapter.py` lets the kit start processes as a consumer,
`__main__.py` puts them together. Beside this folder, `kit.py` runs the Java side and `nodes.py` starts nodes, for all kits.
"""
