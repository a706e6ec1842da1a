"""`kontor`, composed without the checks that `excused.py` names: for the kit alone. `python -m tests.conformance.dcp.node serve ...`."""

from __future__ import annotations

from connector.cli import main
from tests.conformance.dcp import excused

if __name__ == "__main__":
    excused.leave_out()
    main()
