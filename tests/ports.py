"""Ports for programs that must be told one, such as nginx: what listens by itself takes port 0."""

from __future__ import annotations

import random
import socket

#: Below the range from which Linux gives out ports by itself (`ip_local_port_range` begins at 32768), so that nothing
#: that other tests open at the same time is given one of these between our look at it and the program's.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port at which nothing listens, on any address."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
