"""Try the switches whose description has all of the words given, or all: `python -m tests.switches [words]`."""

import json
import sys
import time

from . import rules
from .trying import attempt


def main(*words: str) -> int:
    switches = [each for group in rules.GROUPS.values() for each in group if all(word in repr(each) for word in words)]
    began = time.monotonic()
    wrong = attempt(switches)
    told = {switch.rule: lines for switch, lines in zip(switches, wrong, strict=True) if lines}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    sys.stderr.write(f"{len(switches)} switches, {len(told)} without effect, {time.monotonic() - began:.0f} s\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
