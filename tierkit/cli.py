"""The command line: `tierkit run`, `edge`, `relay`, `origin`, `check`, `graph`, `plugins`, `purge`, `plan`, `load`,
`wowza`.

Exit codes: 0 fine, 1 failed while running, 2 bad configuration or usage.  Standard output has what was
asked for, ``ready NAME PROTOCOL HOST:PORT`` for each listener among it; standard error has the log and
what went wrong, a line each.

The library alone does not bring what this needs, so everything beyond the standard library is imported in
`main`, which can say which extra to install.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

#: What the extra `cli` brings; anything else that is missing is a mistake and told as it is.
_EXTRA = frozenset({"cattrs", "rich", "structlog", "typer"})


def main() -> None:
    """The entry point of the `tierkit` script; ends in SystemExit."""
    try:
        from ._cli_app import start
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        print(f"the command line needs {missing}, which is not installed: pip install 'tierkit[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    start(sys.argv[1:])
