"""`tierkit purge`: what it asks, what it tells, and that it reaches real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from attrs import define, field

from .support import Outcome, tierkit_

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TIERKIT_CONTROL_TOKEN", "hush")
    return "hush"


@define
class Desk:
    """A control address that answers what a test tells it."""

    port: int
    status: int = 200
    body: str = '{"purged": {"one": 3, "two": 0}, "failed": []}'
    asked: list[tuple[str, str | None, dict[str, list[str]]]] = field(factory=list)


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def desk() -> Iterator[Desk]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found.asked.append((self.path, self.headers["Authorization"], parse_qs(form, strict_parsing=True)))
            answer(self, found.status, found.body.encode())

        def log_message(self, *args: object) -> None:
            pass

    with served(Handler) as port:
        found = Desk(port)
        yield found


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def purge(desk: Desk, *arguments: object) -> Outcome:
    return tierkit_("purge", f":{desk.port}", *arguments)


# --- what it asks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        (["/live/s/x.ts?a=1&b=%20+"], {"path": ["/live/s/x.ts?a=1&b=%20+"]}),
        (["stream:live/s", "--soft"], {"path": ["stream:live/s"], "soft": ["1"]}),
        (["/live/*", "--tier", "edge-a1"], {"path": ["/live/*"], "tier": ["edge-a1"]}),
        (["*", "--all"], {"path": ["*"], "all": ["1"]}),
    ],
)
def test_it_asks_with_the_token_and_as_a_form(desk: Desk, arguments: list[str], form: dict[str, list[str]]) -> None:
    outcome = purge(desk, *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (0, ["one 3", "two 0"], [])
    assert desk.asked == [("/purge", "Bearer hush", form)]


def test_the_token_may_be_in_a_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("whisper\n")
    assert purge(desk, "/x", "--token-file", file).code == 0
    assert desk.asked[0][1] == "Bearer whisper"


@pytest.mark.parametrize("where", ["127.0.0.1:{}", "http://127.0.0.1:{}", "http://127.0.0.1:{}/", "localhost:{}"])
def test_an_address_may_be_written_so(desk: Desk, where: str) -> None:
    assert tierkit_("purge", where.format(desk.port), "/x").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["live"], "'live' is no pattern"),
        (["*"], "'*' is everything there is: add --all"),
        (["/*"], "'/*' is everything there is: add --all"),
        (["/x", "--token-file", "/nowhere/token"], "/nowhere/token cannot be read"),
    ],
)
def test_what_makes_no_sense_is_not_asked(desk: Desk, arguments: list[str], told: str) -> None:
    outcome = purge(desk, *arguments)
    assert (outcome.code, len(outcome.err)) == (2, 1)
    assert told in outcome.err[0]
    assert desk.asked == []


@pytest.mark.parametrize("address", ["rtmp://127.0.0.1:9", "127.0.0.1:9/purge", "127.0.0.1:x"])
def test_what_is_no_control_address(address: str) -> None:
    outcome = tierkit_("purge", address, "/x")
    assert (outcome.code, len(outcome.err)) == (2, 1)


@pytest.mark.parametrize("token", ["", "two words", "a\r\nX-Evil: 1"])
def test_what_is_no_token_is_not_sent(desk: Desk, token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token)
    outcome = purge(desk, "/x", "--token-file", tmp_path / "token")
    assert outcome.code == 2
    assert outcome.err == [
        f"no token is in {tmp_path / 'token'}: have the graph's control_token there, or in a file with --token-file"
    ]
    assert desk.asked == []


# --- what it tells -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_as_it_is(desk: Desk, status: int) -> None:
    desk.status, desk.body = status, "there is no tier 'a' here; there are b c\n"
    outcome = purge(desk, "/x")
    assert outcome.code == 2
    assert outcome.err == [f"http://127.0.0.1:{desk.port}: there is no tier 'a' here; there are b c"]


def test_a_tier_that_did_not_do_it_is_named(desk: Desk) -> None:
    desk.status, desk.body = 500, '{"purged": {"one": 3, "two": null}, "failed": ["two"]}'
    outcome = purge(desk, "/x")
    assert (outcome.code, outcome.out) == (1, ["one 3"])
    assert outcome.err == ["two: not purged: it did not answer in time, or failed, which its log says"]


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"purged": 3}'])
def test_somebody_else_answers(desk: Desk, body: str) -> None:
    desk.body = body
    outcome = purge(desk, "/x")
    assert outcome.code == 1
    assert outcome.err == [f"http://127.0.0.1:{desk.port} answers 200: is this tierkit's control address?"]


def test_nobody_answers(desk: Desk) -> None:
    with served(BaseHTTPRequestHandler) as port:
        pass
    outcome = tierkit_("purge", f":{port}", "/x")
    assert outcome.code == 1
    assert outcome.err == [f"http://127.0.0.1:{port} refuses connections: nothing listens there"]


# --- real processes ------------------------------------------------------------------------------

FILE = """
control = "http://127.0.0.1:{control}"
control_token = "hush"

[origin.o]
address = "http://127.0.0.1:{origin}"

[edge.one]
listen = "127.0.0.1:0"
upstream = "o"
serves = "hls"

[edge.two]
listen = "127.0.0.1:0"
upstream = "o"
serves = "hls"
"""


class Media(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer(self, 200, b"media")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def real_tiers(tmp_path: Path, *, processes: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Two edges and their control address; yields where they all are."""
    with ExitStack() as stack:
        origin = stack.enter_context(served(Media))
        with served(Media) as control:
            pass  # a port that is free now
        file = tmp_path / "graph.toml"
        file.write_text(FILE.format(control=control, origin=origin))
        command = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", processes, "--drain", "1"]
        running = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
        stack.callback(running.terminate)
        assert running.stdout is not None
        lines = [running.stdout.readline().split() for _ in ("one", "two")]
        until_ready(control)
        yield f"127.0.0.1:{control}", {line[1]: line[3] for line in lines}


def fetch(where: str, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{where}{path}", timeout=10) as found:
        body: bytes = found.read()
        return body


def until_ready(control: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            fetch(f"127.0.0.1:{control}", "/readyz")
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("processes", ["one", "tier"])
def test_every_tier_is_reached(tmp_path: Path, processes: str) -> None:
    with real_tiers(tmp_path, processes=processes) as (control, edges):
        for path in ("/live/s/1.ts", "/live/s/2.ts", "/live/t/1.ts"):
            for where in edges.values():
                assert fetch(where, path) == b"media"
        assert tierkit_("purge", control, "stream:live/s", "--soft").out == ["one 2", "two 2"]
        assert tierkit_("purge", control, "/live/s/*", "--tier", "two").out == ["two 2"]
        assert tierkit_("purge", control, "*", "--all").out == ["one 3", "two 1"]
        assert tierkit_("purge", control, "*", "--all").out == ["one 0", "two 0"]
        refused = tierkit_("purge", control, "/x", "--tier", "three")
        assert (refused.code, len(refused.err)) == (2, 1)
        assert re.search("no tier 'three' here; there are one two$", refused.err[0])


def test_a_process_that_hangs_is_named_and_the_other_has_done_it(tmp_path: Path) -> None:
    with real_tiers(tmp_path, processes="tier") as (control, edges):
        for where in edges.values():
            fetch(where, "/live/s/1.ts")
        pid = json.loads(fetch(control, "/statistics"))["processes"]["one"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            outcome = tierkit_("purge", control, "/live/*")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert (outcome.code, outcome.out) == (1, ["two 1"])
        assert [line.partition(":")[0] for line in outcome.err] == ["one"]
        # It goes on, and can be told again.
        assert tierkit_("purge", control, "/live/*").out == ["one 0", "two 0"]
