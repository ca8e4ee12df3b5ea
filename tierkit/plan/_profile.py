"""The constants of a machine: from a calibration, or, where there is none, from what the documentation has measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, fields_dict, frozen

from tierkit.errors import TierkitError

from ._costs import Costs

__all__ = ["KINDS", "MEASURED", "Profile", "default_path"]

#: Kinds of tier by what they do at which kind of door.
KINDS = ("edge/http", "edge/https", "relay/rtmp", "relay/rtmps", "origin")
_TABLE = "docs/explanation/performance.md"
#: Longest file that is read: a calibration has 3 kB.
LONGEST = 1 << 20
#: Of the file's shape; a calibration of another one is to be made again.
FORMAT = 1

MB, KIB = 1e6, 1024

#: The tables of docs/explanation/performance.md taken apart, docs/explanation/capacity.md says how.
MEASURED: Mapping[str, Costs] = {
    # 9,130 segments of 6 Mbit and 70,800 playlists a CPU-second, 500 clients.
    "edge/http": Costs(
        base_cpu=0.002, stream_cpu=0.006, request_cpu=14e-6, gbit_cpu=0.016,
        base_bytes=64 * MB, viewer_bytes=9.23 * KIB, stalled_bytes=130 * KIB, source=_TABLE,
    ),
    # 1,910 segments a CPU-second by TLS; OpenSSL keeps 29 KiB a connection.
    "edge/https": Costs(
        base_cpu=0.002, stream_cpu=0.006, request_cpu=20e-6, gbit_cpu=0.085,
        base_bytes=64 * MB, viewer_bytes=28.9 * KIB, stalled_bytes=130 * KIB, source=_TABLE,
    ),
    # 500 to 6,000 players of 1.1 Mbit/s: 0.0516 to 0.0611 CPU-seconds a Gbit, 76 to 133 MB; 150 stalled: 38 MB.
    "relay/rtmp": Costs(
        base_cpu=0.002, stream_cpu=0.003, pass_cpu=0.0005, send_cpu=11e-6, gbit_cpu=0.016,
        base_bytes=71 * MB, viewer_bytes=10.4e3, stalled_bytes=0.26 * MB, source=_TABLE,
    ),
    # 500 players by TLS: 0.177.
    "relay/rtmps": Costs(
        base_cpu=0.002, stream_cpu=0.003, pass_cpu=0.0005, send_cpu=11e-6, gbit_cpu=0.147,
        base_bytes=71 * MB, viewer_bytes=28.7 * KIB, stalled_bytes=0.26 * MB, source=_TABLE,
    ),
    "origin": Costs(base_cpu=0.003, stream_cpu=0.016, base_bytes=80 * MB, source="docs/explanation/capacity.md"),
}  # fmt: skip


@frozen(kw_only=True)
class Profile:
    """What tiers cost on one machine."""

    #: By kind; of one that is not here, `MEASURED` has the cost.
    costs: Mapping[str, Costs] = field(factory=dict)
    #: The machine's name, processor, cores, kernel and versions, and how much of it was to spare: for people.
    about: Mapping[str, str] = field(factory=dict)
    #: Unix time of the calibration; 0 where there was none.
    made_at: float = 0.0

    def of(self, kind: str) -> Costs:
        """The costs of a kind of `KINDS`, their source named."""
        return self.costs[kind] if kind in self.costs else MEASURED[kind]

    def write(self, path: Path) -> None:
        """Raises TierkitError where it cannot be written."""
        told = {
            "format": FORMAT,
            "made_at": self.made_at,
            "about": dict(self.about),
            "costs": {kind: asdict(costs) for kind, costs in self.costs.items()},
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(path.name + ".new")
            beside.write_text(json.dumps(told, indent=1) + "\n")
            beside.replace(path)
        except OSError as error:
            raise TierkitError(f"{path}: cannot be written: {error.strerror}: say --profile FILE") from None

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Raises TierkitError where the file is no calibration; an OSError where it cannot be opened."""
        with path.open("rb") as file:
            data = file.read(LONGEST)
        try:
            told = json.loads(data)
            if told["format"] != FORMAT:
                raise ValueError
            costs = {kind: _costs(values) for kind, values in told["costs"].items() if kind in KINDS}
            about = {str(key): str(value) for key, value in told["about"].items()}
            return cls(costs=costs, about=about, made_at=float(told["made_at"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TierkitError(f"{path}: is no calibration: make one with tierkit plan --calibrate") from None


def _costs(values: Mapping[str, Any]) -> Costs:
    # What an older or newer version has besides is left out, what it lacks is nothing.
    return Costs(**{key: value for key, value in values.items() if key in fields_dict(Costs)})


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a calibration is kept: ``$XDG_CONFIG_HOME/tierkit/plan.json``, by default below ``~/.config``."""
    base = environ.get("XDG_CONFIG_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".config"
    return home / "tierkit" / "plan.json"
