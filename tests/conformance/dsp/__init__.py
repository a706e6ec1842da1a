"""`python -m tests.conformance.dsp`: the official test kit of the Dataspace Protocol against freshly started nodes.

`cases.py` says what each test needs, `kit.py` runs the Java side, `nodes.py` starts a node and sets it up, `adapter.py`
lets the kit start processes as a consumer, `__main__.py` puts them together and tells the verdict.
"""
