"""Graphs from files: Python that holds a `graph`, or TOML.

    graph = load_graph("grnet.toml")

TOML writes the same value with names in place of objects, and there alone are plugins named by strings:

    control = "127.0.0.1:9000"
    plugins = ["my_plugin.py"]          # files are looked for beside this one

    [origin.wowza]
    address = "wowza.example:1935"
    speaks = { plugin = "wowza", app = "live" }

    [edge.edge-a1]
    site = "dc-a"
    host = "a1.example"
    listen = [":80", { address = "https://:443", cert = "edge.pem", key = "edge.key" }]
    upstream = "wowza"                  # or a list, in order of preference
    serves = { plugin = "hls", cache_bytes = "512MiB", idle_timeout = "1m30s" }

    [edge.edge-a1.limits]
    per_address = 500

Needs the extra `toml` for TOML files.
"""

from __future__ import annotations

from pathlib import Path

from tierkit import Graph, GraphError, Registry

from ._config_options import closest as closest
from ._config_options import parse_options as parse_options
from ._config_python import read_python
from ._config_toml import read_toml
from ._config_values import parse_duration as parse_duration
from ._config_values import parse_size as parse_size

__all__ = ["closest", "load_graph", "parse_duration", "parse_options", "parse_size"]


def load_graph(file: str | Path, registry: Registry | None = None) -> Graph:
    """The graph in a file: Python that holds `graph`, or TOML.

    Args:
        registry: the plugins that TOML may name; by default those that are installed.  Files that the TOML
            names in `plugins` are added to it.

    Raises:
        GraphError: the file cannot be read as a graph; every problem at once, each with its place.  Whether
            the graph can run is for `check` to say.
    """
    path = Path(file)
    if path.suffix not in (".py", ".toml"):
        raise GraphError([f"{path}: is it Python or TOML? Give a file whose name ends in .py or .toml"])
    try:
        if path.suffix == ".py":
            path.open("rb").close()  # what the file itself fails to open is another matter
            return read_python(path)
        return read_toml(path, Registry.load() if registry is None else registry)
    except OSError as error:
        raise GraphError([f"{path}: cannot be read: {error.strerror or error}"]) from None
