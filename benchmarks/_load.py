"""Load that costs its own core little, so that the server is what is measured.

Small answers are asked for by wrk.  Large bodies are thrown away in the kernel: on a TCP socket `MSG_TRUNC`
receives without copying (tcp(7)), so that one Python thread takes several GB/s.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import attrs

from benchmarks import _procs
from benchmarks._procs import Void

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,15})\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r]")
#: RST instead of FIN: thousands of closed connections leave no port in TIME_WAIT.
_LINGER = struct.pack("ii", 1, 0)
#: Seconds of load before the window, where that is as long.
WARM = 1.0
#: What one receive may discard.
_SINK = bytearray(1 << 20)
#: wrk tells what it has done as JSON; the errors void a figure.
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p99":%d}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(99)))
end
"""
#: What comes before says where to count from, in `n`, so that no run repeats another's.
_AGENTS = """
local agents = {}
for i = 1, 200 do
  agents[i] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/" .. i .. ".0 Safari/537.36"
end
local function ask(query, field)
  return "GET " .. wrk.path .. query .. " HTTP/1.1\\r\\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\\r\\nUser-Agent: " .. agents[n % 200 + 1] .. field ..
    "\\r\\nAccept: */*\\r\\nAccept-Encoding: gzip, deflate\\r\\nConnection: keep-alive\\r\\n\\r\\n"
end
"""
#: No two request lines alike: a token, a CMCD query of the kind that hls.js sends, and 200 user agents.
DISTINCT_LINES = (
    _AGENTS
    + """
request = function()
  n = n + 1
  local cmcd = "bl%3D" .. (n % 4000) .. "%2Cot%3Dm%2Csf%3Dh%2Csid%3D%22s-" .. n .. "%22"
  return ask("?token=" .. n .. "a9f3&CMCD=" .. cmcd, "")
end
"""
)
#: One request line and no two heads alike: the session of AVPlayer (X-Playback-Session-Id), 200 user agents.
DISTINCT_HEADS = (
    _AGENTS
    + """
request = function()
  n = n + 1
  return ask("", "\\r\\nX-Playback-Session-Id: 5F2C9A14-0000-4000-8000-" .. string.format("%012d", n))
end
"""
)
#: A browser's head, the same for all.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0 Safari/537.36"


@attrs.frozen
class Window:
    """What was served within a while, and what the server spent for it."""

    units: float
    seconds: float
    cpu: float
    #: Seconds that the server's threads were ready to run and something else had the core.
    waited: float
    #: 99th percentile of the time to an answer, milliseconds; where the load tells.
    p99: float = float("nan")

    @property
    def share(self) -> float:
        """Share of its core that the server used."""
        return self.cpu / self.seconds

    @property
    def busy(self) -> float:
        """Share of the time in which it had something to do; on a machine of its own that is `share`."""
        return min(1.0, (self.cpu + self.waited) / self.seconds)

    @property
    def per_cpu_second(self) -> float:
        """The figure."""
        return self.units / self.cpu if self.cpu else float("nan")


@contextmanager
def metered(pid: int) -> Iterator[list[float]]:
    """Yields a list that holds seconds afterwards: by the clock, of CPU, and of waiting for the core."""
    found: list[float] = []
    before = [time.monotonic(), _procs.cpu_seconds(pid), _procs.waited_seconds(pid)]
    yield found
    after = [time.monotonic(), _procs.cpu_seconds(pid), _procs.waited_seconds(pid)]
    found += [now - then for now, then in zip(after, before, strict=True)]


def get(path: str, port: int) -> bytes:
    """The head that a browser sends."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n"
    ).encode()


def connect(port: int, receive_buffer: int = 0, source: str = "") -> socket.socket:
    """A connection that closes by reset, from a loopback address of its own where `source` says one."""
    made = socket.socket()
    if source:
        made.bind((source, 0))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    if receive_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.connect(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def parse_head(data: bytes) -> tuple[int, int]:
    """Length of head and of body of the answer that begins with `data`; the head must be whole, and say 200."""
    head, end, _ = data.partition(b"\r\n\r\n")
    status, length = _STATUS.match(head), _LENGTH.search(head + b"\r\n")
    if not end or status is None or status.group(1) != b"200" or length is None:
        raise Void(f"not an answer to measure: {head[:500]!r}")
    return len(head) + 4, int(length.group(1))


class Taker:
    """One keep-alive client: asks for one object after the other and throws the bodies away."""

    def __init__(
        self,
        port: int,
        paths: Sequence[str],
        first: int,
        receive_buffer: int = 0,
        choose: Callable[[], bytes] | None = None,
    ) -> None:
        self.socket = connect(port, receive_buffer)
        self.socket.setblocking(False)
        self.requests = [get(path, port) for path in paths]
        #: Number of requests made, counted from `first`.
        self.next = first
        self.choose = choose
        self.left = 0
        self.ask()

    def ask(self) -> None:
        """The next request: the next of the paths in turn, or what `choose` says."""
        self.socket.send(self.choose() if self.choose else self.requests[self.next % len(self.requests)])
        self.next += 1

    def take(self, most: int = len(_SINK)) -> int:
        """What is there, up to about `most` bytes at once; 1 where that ended a body, and asks again then."""
        try:
            if self.left == 0:
                self._begin()
            while self.left:
                wanted = min(self.left, most)
                got = self.socket.recv_into(_SINK, wanted, socket.MSG_TRUNC)
                if got == 0:
                    raise Void("the server broke off in the middle of a body")
                self.left -= got
                if self.left and (got < wanted or most < len(_SINK)):
                    return 0
        except BlockingIOError:
            return 0
        self.ask()
        return 1

    def _begin(self) -> None:
        data = self.socket.recv(2048)
        if not data:
            raise Void("the server closed a connection in a steady run")
        head, body = parse_head(data)
        self.left = body + head - len(data)


def take_bodies(pid: int, port: int, paths: Sequence[str], clients: int, seconds: float) -> Window:
    """`clients` keep-alive clients in a closed loop; bodies that ended within the window count."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        takers = {}
        for number in range(clients):
            taker = Taker(port, paths, number)
            takers[taker.socket.fileno()] = taker
            stack.callback(taker.socket.close)
            poll.register(taker.socket, select.EPOLLIN)
        _take(poll, takers, min(WARM, seconds))
        with metered(pid) as cost:
            units = _take(poll, takers, seconds)
    return Window(units, *cost)


def _take(poll: select.epoll, takers: dict[int, Taker], seconds: float) -> int:
    until, units = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < until:
        for number, _ in poll.poll(until - now):
            units += takers[number].take()
    return units


def wrk(pid: int, url: str, clients: int, seconds: float, core: int | None, script: str = "") -> Window:
    """wrk in a closed loop; its answers against the server's CPU time.  A `script` may make the requests."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as written:
        written.write(_DONE + script)
        written.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", written.name]
        command += ["-H", f"User-Agent: {AGENT}", "-H", "Accept: */*", "-H", "Accept-Encoding: gzip, deflate", url]
        with metered(pid) as cost:
            done = subprocess.run(_procs.pinned(core, command), check=True, capture_output=True, text=True)
    told = parse_wrk(done.stdout)
    return Window(told["requests"], cost[0], cost[1], cost[2], told["p99"] / 1000)


def parse_wrk(output: str) -> dict[str, float]:
    """What our `done` function wrote as the last line; an error where requests failed."""
    told: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    if told["errors"] or not told["requests"]:
        raise Void(f"wrk: {told['errors']} of {told['requests']} requests failed: no figure comes of that")
    return told


def fetch(port: int, path: str) -> bytes:
    """One whole answer's body, copied: for warming, and for counts."""
    with connect(port) as client:
        client.settimeout(20)
        client.sendall(get(path, port))
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(client)
        head, length = parse_head(data)
        pieces = [data[head:]]
        while sum(map(len, pieces)) < length:
            pieces.append(_more(client))
    return b"".join(pieces)


def _more(client: socket.socket) -> bytes:
    data = client.recv(1 << 18)
    if not data:
        raise Void("the server broke off")
    return data


def counts(origin: int) -> dict[str, int]:
    """How often the origin was asked for each path."""
    found: dict[str, int] = json.loads(fetch(origin, "/count"))
    return found
