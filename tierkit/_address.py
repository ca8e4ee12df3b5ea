"""Addresses, and the doors that a tier opens on them.

One `Address` is used for both ends: what a tier listens on (`:80`, `rtmps://[::1]:443`,
`unix:/run/edge.sock`) and what somebody dials (`http://origin.example:8080/live`).  A listen address
is *not* a place to connect to: it may be a wildcard or port 0, so nothing here turns one into the
other; that is `_model.Node.reach_address`.

Credentials never appear in `repr`, `str` or an error: `reveal()` is the one way to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from urllib.parse import quote, unquote

from attrs import evolve, field, frozen

from ._networks import network_problem
from .errors import AddressError

__all__ = ["DEFAULT_PORTS", "TLS_SCHEMES", "Address", "Certificate", "Listener", "Trust"]

#: RFC 9110 section 4.2 for http(s); the RTMP specification section 1 names 1935; rtmps has no
#: registration, 443 is what every encoder and CDN dials.
DEFAULT_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
#: Schemes that mean TLS from the first byte.
TLS_SCHEMES = frozenset({"https", "rtmps"})

_SCHEME = re.compile(r"[a-z][a-z0-9.-]*\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
# RFC 3986 reg-name without the percent forms: nobody's host names need them, and they hide mischief.
_HOST = re.compile(r"[A-Za-z0-9._-]*\Z")
_UNSAFE = re.compile(r"[\x00-\x20\x7f#]")
_UNIX = re.compile(r"(?:([A-Za-z][A-Za-z0-9.-]*)\+)?unix:(?://)?")


@frozen(repr=False)
class Address:
    """Where something is, or where to wait for it.

    Spellings: ``host:port``, ``:port`` (every address, IPv4 and IPv6), ``[::1]:port``,
    ``scheme://user:password@host:port/path?query``, ``unix:/path`` and ``scheme+unix:/path``.
    """

    #: "http", "rtmps" and so on; empty where the service's default applies.
    scheme: str = ""
    #: Name or address without brackets; empty means every address, which can only be listened on.
    host: str = ""
    #: None where the scheme's default applies; 0 asks the kernel for a free one.
    port: int | None = None
    #: Absolute path with its leading slash, or empty.
    path: str = ""
    #: Without the question mark.
    query: str = ""
    #: As they are meant; in a URL ``%40`` stands for an ``@`` in them, and so on.
    username: str = ""
    password: str = ""
    #: Path of a unix socket; host and port are then empty.
    unix: str = ""
    #: The path's last segment is a credential (a stream key), and is shown as ``***``.
    keyed: bool = False

    @classmethod
    def parse(cls, text: str | Address) -> Address:
        """Read any of the spellings above.  Raises AddressError, which never repeats a password."""
        if isinstance(text, Address):
            return text
        if not text:
            raise AddressError("an address is missing: write HOST:PORT, :PORT or SCHEME://HOST:PORT")
        shown = _shown(text)
        if _UNSAFE.search(text):
            raise AddressError(f"address {shown!r} has a space, '#' or control character: leave it out or write %XX")
        if match := _UNIX.match(text):
            if not text.startswith("/", match.end()):
                raise AddressError(f"address {shown!r} is no path of a socket: write unix:/PATH")
            return cls(scheme=(match.group(1) or "").lower(), unix=text[match.end() :])
        scheme, colon, rest = text.partition("://")
        if not colon:
            scheme, rest = "", text
        elif not _SCHEME.match(scheme := scheme.lower()):
            raise AddressError(f"address {shown!r} has an odd scheme: write for instance http://HOST:PORT")
        elif not rest:
            raise AddressError(f"address {shown!r} ends after its scheme: write {scheme}://HOST:PORT")
        authority, tail = _split_at(rest, "/?")
        path, _, query = tail.partition("?")
        userinfo, at, hostport = authority.rpartition("@")
        username, _, password = userinfo.partition(":") if at else ("", "", "")
        host, port = _split_host_port(hostport, shown)
        if not colon and port is None and host.isdecimal():
            raise AddressError(f"address {shown!r} is a port alone: write :{host}")
        return cls(scheme, host, port, path, query, unquote(username), unquote(password))

    @property
    def dial_port(self) -> int:
        """The port to dial: the one given, or the scheme's default.  Raises AddressError if neither."""
        if self.port is not None:
            return self.port
        try:
            return DEFAULT_PORTS[self.scheme]
        except KeyError:
            raise AddressError(f"address {self} has no port: write HOST:PORT") from None

    @property
    def secure(self) -> bool:
        """Whether the scheme means TLS from the first byte."""
        return self.scheme in TLS_SCHEMES

    @property
    def wildcard(self) -> bool:
        """Whether this is every address of a machine: it can be listened on, never dialled."""
        return not self.unix and self.host in ("", "0.0.0.0", "::", "*")

    @property
    def authority(self) -> str:
        """``host:port`` with brackets where IPv6 needs them; ``unix:/path`` for a unix socket."""
        if self.unix:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query as a request target; "/" where there is neither."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path

    def with_(self, **changes: object) -> Address:
        """A copy with some fields changed."""
        return evolve(self, **changes)  # type: ignore[arg-type]

    def reveal(self) -> str:
        """The whole URL *with* its credentials, for the wire alone: never for a log or a message."""
        return self._spell(self._userinfo(hide=False), hide=False)

    def _userinfo(self, *, hide: bool) -> str:
        if not self.username and not self.password:
            return ""
        if hide:
            return "***@"
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"{quote(self.username, safe='')}{password}@"

    def _spell(self, userinfo: str, *, hide: bool) -> str:
        if self.unix:
            return f"{self.scheme}+unix:{self.unix}" if self.scheme else f"unix:{self.unix}"
        prefix = f"{self.scheme}://" if self.scheme else ""
        query = f"?{self.query}" if self.query else ""
        path = self.path.rpartition("/")[0] + "/***" if hide and self.keyed and self.path else self.path
        return f"{prefix}{userinfo}{self.authority}{path}{query}"

    def __str__(self) -> str:
        # A query may carry a token, so a shown URL stops at the path.
        shown = self._spell(self._userinfo(hide=True), hide=True)
        return shown.partition("?")[0] + ("?***" if self.query else "")

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def _shown(text: str) -> str:
    # For a text that is not understood, so where a password ends in it is not known either: everything up
    # to the last "@" goes, and a query, which may carry a token.
    before, at, rest = text.rpartition("@")
    scheme, colon, _ = before.partition("://")
    shown = f"{scheme}{colon}***@{rest}" if colon else f"***@{rest}" if at else text
    return shown.partition("?")[0] + ("?***" if "?" in shown else "")


def _split_at(text: str, marks: str) -> tuple[str, str]:
    at = next((i for i, each in enumerate(text) if each in marks), len(text))
    return text[:at], text[at:]


def _certificates(value: Certificate | Iterable[Certificate]) -> tuple[Certificate, ...]:
    return (value,) if isinstance(value, Certificate) else tuple(value)


def _split_host_port(text: str, shown: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise AddressError(f"address {shown!r} has an odd IPv6 host: write [::1]:PORT")
        port = rest[1:] if rest else ""
        colon = bool(rest)
    else:
        host, colon_, port = text.partition(":")
        colon = bool(colon_)
        if ":" in port:
            raise AddressError(f"address {shown!r} has several colons: write an IPv6 host in brackets, [::1]:PORT")
        if host == "*":
            host = ""
        if not _HOST.match(host):
            raise AddressError(f"address {shown!r} has an odd host name: write HOST:PORT")
    if not colon:
        return host, None
    if not _PORT.match(port) or int(port) > 65535:
        raise AddressError(f"address {shown!r} has an odd port: write a number from 0 to 65535")
    return host, int(port)


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Certificate:
    """A certificate chain and its key as PEM files, and the host names (SNI) that it answers for.

    `key` may be left out where the chain's file holds it too.  The first certificate of a listener
    answers for every name that no other one claims; ``*.example.org`` claims one label.
    """

    cert: str
    key: str = ""
    names: tuple[str, ...] = field(default=(), converter=_strings)


def _all_networks(_trust: Trust, _attribute: object, networks: tuple[str, ...]) -> None:
    for each in networks:
        if told := network_problem(each):
            raise AddressError(f"networks: {told}")


@frozen
class Trust:
    """How a server is verified when it is dialled."""

    #: PEM file of the authorities to believe; empty means the system's.
    ca: str = ""
    #: The name its certificate must carry, where that is not the host that is dialled.
    server_name: str = ""
    #: False takes any certificate: for a laboratory only.
    verify: bool = True
    #: Networks (CIDR, or "public") in which its address must be, with TLS or without; empty is anywhere.  What a name
    #: has been looked up to is held against them, and nothing else is dialled.
    networks: tuple[str, ...] = field(default=(), converter=_strings, validator=_all_networks)


def _parse_address(value: str | Address) -> Address:
    return Address.parse(value)


@frozen
class Listener:
    """An address with its transport: TCP, TLS, unix socket, with or without PROXY protocol before it."""

    #: Its scheme may be left out: the tier's service then gives its default one.
    address: Address = field(converter=_parse_address)
    #: Needed for https and rtmps.  Files are read again when they change.
    certificates: tuple[Certificate, ...] = field(default=(), converter=_certificates)
    #: Networks (CIDR, or "unix") whose connections begin with a PROXY protocol header, version 1 or 2.
    #: From these the header is required, from all others it is not read: a stranger could lie in it.
    proxy_from: tuple[str, ...] = field(default=(), converter=_strings)

    @classmethod
    def parse(cls, value: str | Address | Listener) -> Listener:
        """A listener from itself, an address or a string."""
        return value if isinstance(value, Listener) else cls(Address.parse(value))

    def problems(self) -> list[str]:
        """What is wrong with it by itself, one line each; empty when it can be opened."""
        found = []
        if self.address.secure and not self.certificates:
            found.append(
                f"listener {self.address} needs a certificate: "
                "give Listener(address, certificates=Certificate(cert, key)) or --cert FILE --key FILE"
            )
        if self.certificates and self.address.scheme and not self.address.secure:
            found.append(
                f"listener {self.address} has a certificate but no TLS: "
                f"write {self.address.with_(scheme=self.address.scheme + 's')}"
            )
        if self.address.path or self.address.query or self.address.username:
            found.append(f"listener {self.address} has a path, query or user: write only SCHEME://HOST:PORT")
        odd = filter(None, map(network_problem, self.proxy_from))
        return [*found, *(f"listener {self.address}: proxy_from {each}" for each in odd)]
