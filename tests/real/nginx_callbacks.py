"""What nginx-rtmp tells a back end, and what we do: the same clients at either, and a back end that writes down.

    python -m tests.real.nginx_callbacks > tests/data/nginx_rtmp/callbacks.jsonl

records nginx-rtmp anew.  What differs from run to run (ports, numbers of connections, clocks) is made the same.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.ports import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
GOLDEN = Path(__file__).parent.parent / "data" / "nginx_rtmp" / "callbacks.jsonl"
CONFIGURATION = """
load_module {module};
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
rtmp {{
    server {{
        listen 127.0.0.1:{port};
        on_connect {backend}/connect; on_disconnect {backend}/disconnect;
        application live {{
            live on;
            on_publish {backend}/publish; on_publish_done {backend}/publish_done;
            on_play {backend}/play; on_play_done {backend}/play_done;
            on_done {backend}/done;
            on_update {backend}/update; notify_update_timeout 1s;
        }}
    }}
}}
"""
#: The options that make ours the same.
OPTIONS = ("connect", "disconnect", "publish", "publish_done", "play", "play_done", "done", "update")


class Backend:
    """Writes down what it is told; "denied" it denies, and "moved" it calls "elsewhere"."""

    def __init__(self) -> None:
        #: (method, path, form) in the order of arrival.
        self.calls: list[tuple[str, str, str]] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, form = self.path.partition("?")
                self.answer("GET", path, form)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                self.answer("POST", self.path, body)

            def answer(self, method: str, path: str, form: str) -> None:
                backend.calls.append((method, path, form))
                asks = path in ("/publish", "/play")
                denied, moved = asks and "name=denied" in form, asks and "name=moved" in form
                self.send_response(403 if denied else 302 if moved else 200)
                if moved:
                    self.send_header("Location", "elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Backend:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def until(self, call: str, count: int = 1, seconds: float = 20) -> None:
        """Wait for a call that was made so often."""
        deadline = time.monotonic() + seconds
        while sum(f"call={call}" in form for _, _, form in self.calls) < count:
            assert time.monotonic() < deadline, f"{call} did not come: {self.calls}"
            time.sleep(0.02)


@contextmanager
def nginx(backend: str) -> Iterator[int]:
    """nginx-rtmp that asks a back end; gives its port."""
    folder = tempfile.mkdtemp()
    port = free_port()
    file = Path(folder) / "nginx.conf"
    file.write_text(CONFIGURATION.format(module=MODULE, folder=folder, port=port, backend=backend))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", str(file), "-e", "stderr"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def drive(backend: Backend, port: int) -> list[tuple[str, str, str]]:
    """ffmpeg publishes, rtmpdump plays, one of each is denied and one is sent elsewhere; what the back end heard."""
    where = f"rtmp://127.0.0.1:{port}/live"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25"]
    ffmpeg = ["ffmpeg", "-loglevel", "error", "-nostdin", "-re", *picture, "-c:v", "libx264", "-g", "25", "-f", "flv"]
    dump = ["rtmpdump", "-q", "--live", "-o", "/dev/null"]
    backend.calls.clear()
    publisher = subprocess.Popen([*ffmpeg, "-t", "6", f"{where}/hall?key=s%20e&x=1+2"], stderr=subprocess.PIPE)
    backend.until("update_publish")
    said = ["-W", "http://s.example/p.swf", "-p", "http://s.example/a b?c=d&e", "-f", "LNX 9,0,124,2"]
    player = subprocess.Popen([*dump, *said, "-r", f"{where}/hall?tok=1"], stderr=subprocess.PIPE)
    backend.until("update_play")
    player.terminate()
    player.communicate(timeout=10)
    backend.until("disconnect")
    subprocess.run([*dump, "-r", f"{where}/denied"], check=False, capture_output=True, timeout=20)
    backend.until("disconnect", 2)
    publisher.communicate(timeout=20)
    backend.until("disconnect", 3)
    subprocess.run([*ffmpeg, "-t", "0.5", f"{where}/moved?k=%41"], check=False, capture_output=True, timeout=20)
    backend.until("disconnect", 4)
    subprocess.run([*ffmpeg, "-t", "0.5", f"{where}/denied"], check=False, capture_output=True, timeout=20)
    backend.until("disconnect", 5)
    time.sleep(0.3)
    same = [(method, path, steady(form, port)) for method, path, form in backend.calls]
    # Who is told first of several that happen at once is chance, and how often an update came, too.
    return sorted(set(same))


def steady(form: str, port: int) -> str:
    """A form without what differs from run to run."""
    form = form.replace(f"127.0.0.1:{port}", "127.0.0.1:1935")
    form = re.sub(r"Lavf[\d.]+", "Lavf0.0", form)
    return re.sub(r"(?<![^&])(clientid|epoch|time|timestamp)=\d+", r"\1=0", form)


if __name__ == "__main__":
    with Backend() as recorder, nginx(recorder.url) as at:
        for each in drive(recorder, at):
            sys.stdout.write(json.dumps(each) + "\n")
