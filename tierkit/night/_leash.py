"""A process that ends others when the one that started it is gone, however it went.

It reads lines from a pipe: ``+PID`` for a process group that has begun, ``-PID`` for one that has ended.  When the pipe
ends, nobody looks after the groups that are left: they are told to end, and after some seconds ended.  Run as a script,
not as a module of the package, so that it is small and there at once.
"""

import os
import signal
import sys
import time

#: Seconds that groups have to end by themselves: tiers drain for two.
GRACE = 6.0


def main() -> None:
    """Until the pipe ends, and a little longer where something is left."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    _end(groups, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while groups and time.monotonic() < until:
        time.sleep(0.1)
        _end(groups, 0)
    _end(groups, signal.SIGKILL)


def _end(groups: set[int], number: int) -> None:
    """Send a signal, and forget the groups that are no more."""
    for group in tuple(groups):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            groups.discard(group)


if __name__ == "__main__":
    main()
