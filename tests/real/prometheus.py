"""A real Prometheus that scrapes a real graph: its processes, and its API asked."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from urllib.request import Request, urlopen

__all__ = ["Prometheus", "prometheus", "running", "until"]

T = TypeVar("T")
CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
scrape_configs:
  - job_name: tierkit
    static_configs:
      - targets: [{targets}]
rule_files: [rules.yml]
"""


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of an instant vector."""
        found = self.ask("query", query=query)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire now, each with the tier that it names."""
        told = self.ask("alerts")["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"].get("tier", "")) for each in told if each["state"] == "firing"
        }


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process from start to end."""
    with log.open("wb") as sink:
        child = subprocess.Popen(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def prometheus(folder: Path, targets: Sequence[str], rules: str, port: int) -> Iterator[Prometheus]:
    """One that scrapes every second, and whose alerts do not wait for minutes."""
    folder.mkdir()
    (folder / "rules.yml").write_text(re.sub(r"(?m)^( +for:) \w+$", r"\1 1s", rules))
    (folder / "prometheus.yml").write_text(CONFIG.format(targets=", ".join(f'"{each}"' for each in targets)))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with running([*command, f"--web.listen-address=127.0.0.1:{port}"], folder / "log") as child:
        found = Prometheus(port)

        def ready() -> bool:
            assert child.poll() is None, (folder / "log").read_text()
            with urlopen(f"{found.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)

        until(ready, "Prometheus is ready")
        yield found


def post(url: str, token: str) -> None:
    """Have a control address do something."""
    request = Request(url, method="POST", headers={"Authorization": f"Bearer {token}"}, data=b"")
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def until(look: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """What a look finds, once it finds something; a server that is not there yet is nothing found."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)
