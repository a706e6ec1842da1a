"""Is a node ready? For health checks of containers, which have no other program to ask with: `python -m connector.cli.probe URL`.

Exit code 0 when the address answers 200 within two seconds, else 1 with the answer on stderr. Loads nothing of the product.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

_WITHIN_S = 2.0


def main(arguments: list[str]) -> int:
    """The exit code for `arguments`: one address of this machine."""
    if len(arguments) != 1 or not arguments[0].startswith(("http://", "https://")):
        print("usage: python -m connector.cli.probe http://127.0.0.1:8081/ready", file=sys.stderr)
        return 2
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(arguments[0], timeout=_WITHIN_S) as answer:
            if answer.status == 200:
                return 0
            said = str(answer.status)
    except urllib.error.HTTPError as fault:
        said = f"{fault.code}: {fault.read(2000).decode('utf-8', 'replace')}"
    except OSError as fault:
        said = str(fault)
    print(said, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
