"""What machines and the lines between them carry: speeds by name, from options or from a TOML file beside the graph.

A graph says what runs where; how fast a machine's interface is, is another matter, and changes with the machine.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from tierkit import Graph, GraphError, Node
from tierkit.plugin import Address

__all__ = ["WIRE", "Machines", "machine_of", "parse_speed"]

#: Bits on the wire for each bit of media: 1,448 bytes of TCP in an Ethernet frame of 1,538, preamble and gap among
#: them (IEEE 802.3; IPv4 and TCP with timestamps).
WIRE = 1538 / 1448
_SPEED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)(?:bit/s|bit|bps|b)?")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
#: Longest file of speeds that is read.
LONGEST = 1 << 20


def parse_speed(text: str) -> float:
    """Bit/s from "1G", "2.5Gbit/s" or "100M".  Raises ValueError."""
    match = _SPEED.fullmatch(text.strip())
    speed = float(match.group(1)) * _UNITS[match.group(2)] if match else 0.0
    if not 0 < speed < 1e18:
        raise ValueError("give a speed such as 100M, 1G or 2.5Gbit/s")
    return speed


@frozen(kw_only=True)
class Machines:
    """Speeds, and what else a machine has.  What is not said is not counted as a bound."""

    #: Bit/s of every machine's interface, each way, where `links` does not say another one.
    uplink: float | None = None
    #: Bit/s by the name of a tier or origin, of a host, of a site (its line to all that is outside), or of two nodes,
    #: ``"wowza:edge-a1"``, for what the first sends to the second.
    links: Mapping[str, float] = field(factory=dict)
    #: Bytes of memory and cores of every machine.
    memory: float | None = None
    cores: float | None = None
    #: Descriptors that a process may have.
    descriptors: int = 20_000
    #: Whether everything that runs shares one machine.
    one: bool = False

    def problems(self, graph: Graph) -> Iterator[str]:
        """Names in `links` that mean nothing, or two things, in this graph."""
        names = {node.name for node in graph}
        hosts = {_host(node) for node in graph} - {""}
        sites = set(graph.sites)
        for name in self.links:
            one, colon, other = name.partition(":")
            if colon and one in names and other in names:
                continue
            if (name in sites) and (name in names | hosts):
                yield f"link {name!r}: is a site and something else: rename one of them"
            if name not in names | hosts | sites:
                known = ", ".join(sorted(names | hosts | sites))
                yield f"link {name!r}: nothing is called so: there are {known}, and pairs such as A:B"

    def interface(self, machine: str, nodes: tuple[Node, ...]) -> float | None:
        """Bit/s of the machine on which these nodes are: by its name, or by the least that one of them has."""
        if machine in self.links:
            return self.links[machine]
        said = [self.links[name] for node in nodes for name in (node.name, _host(node)) if name in self.links]
        if said:
            return min(said)
        return self.uplink if any(node.runs for node in nodes) else None

    @classmethod
    def read(cls, path: Path) -> Mapping[str, float]:
        """Speeds by name from TOML: a table ``[links]``, and ``uplink`` for all, under the name "".

        Raises GraphError with every problem.
        """
        try:
            with path.open("rb") as file:
                told = tomllib.loads(file.read(LONGEST).decode())
        except OSError as error:
            raise GraphError([f"{path}: cannot be read: {error.strerror}"]) from None
        except ValueError as error:
            raise GraphError([f"{path}: is no TOML: {error}"]) from None
        problems = [f"{path}: {key}: there is only uplink, and [links]" for key in told.keys() - {"uplink", "links"}]
        links = told.get("links", {})
        if not isinstance(links, dict):
            raise GraphError([*problems, f"{path}: links: write a table, [links]"])
        said = {**links, **({"": told["uplink"]} if "uplink" in told else {})}
        found = {}
        for name, value in said.items():
            try:
                found[name] = parse_speed(str(value))
            except ValueError as error:
                problems.append(f"{path}: {name or 'uplink'}: {error}")
        if problems:
            raise GraphError(problems)
        return found


def machine_of(node: Node, *, one: bool = False) -> str:
    """The machine that a node is on: its host, or, where that is only this machine's own name for itself, its own."""
    if one and node.runs:
        return "this machine"
    return _host(node) or node.name


def _host(node: Node) -> str:
    """A host that others can mean; "" for a loopback address, which every machine has."""
    address: Address | None = getattr(node, "address", None)
    host = address.host if address is not None else node.host
    return "" if host in ("", "localhost", "::1") or host.startswith("127.") else host
