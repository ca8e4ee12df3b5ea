"""Addresses, listeners and certificates out of a TOML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import evolve

from tierkit import AccessLog, Address, Certificate, Limits, Listener, TierkitError, Trust

from ._config_options import make
from ._config_problems import Problems, listed

__all__ = ["Doors"]

T = TypeVar("T")

_LISTENER = ("address", "cert", "key", "names", "certificates", "proxy_from")
_CERTIFICATE = ("cert", "key", "names")


class Doors:
    """Reads what has to do with the network; each method takes the node's name, the key and its value."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def address(self, name: str, key: str, value: object) -> Address | None:
        """An address, or None where it is none."""
        if not self._problems.fits(name, key, value, str, "an address in quotes"):
            return None
        try:
            return Address.parse(str(value))
        except TierkitError as error:
            self._problems.tell(name, key, f"{key}: {error}")
            return None

    def addresses(self, name: str, key: str, value: object) -> tuple[Address, ...]:
        """One address or several."""
        return _each(self.address, name, key, value)

    def listeners(self, name: str, key: str, value: object) -> tuple[Listener, ...]:
        """One listener or several."""
        return _each(self.listener, name, key, value)

    def listener(self, name: str, key: str, value: object) -> Listener | None:
        """An address alone, or a table with certificates and PROXY protocol."""
        if not isinstance(value, dict):
            address = self.address(name, key, value)
            return None if address is None else Listener(address)
        self._problems.unknown(name, value, _LISTENER, inside=key)
        if "address" not in value:
            self._problems.tell(name, key, f"{key}: {value!r} has no address: add address = ':PORT'")
            return None
        own = {each: value[each] for each in _CERTIFICATE if each in value}
        tables = [*([own] if own else []), *listed(value.get("certificates", []))]
        certificates = _each(self._certificate, name, key, tables)
        proxies = self._strings(name, key, "proxy_from", value)
        address = self.address(name, key, value["address"])
        return None if address is None else Listener(address, certificates, proxies)

    def trust(self, name: str, key: str, value: object) -> Trust | None:
        """How a node is verified when it is dialled."""
        made = self._value(name, key, value, Trust)
        return None if made is None else Trust(self._file(made.ca), made.server_name, made.verify)

    def access_log(self, key: str, value: object) -> AccessLog | None:
        """A file's name alone, or a table with it as `file` and more."""
        made = self._value("", key, {"file": value} if isinstance(value, str) else value, AccessLog)
        return None if made is None else evolve(made, file=self._file(made.file))

    def limits(self, name: str, key: str, value: object) -> Limits | None:
        """The bounds of a tier."""
        return self._value(name, key, value, Limits)

    def _certificate(self, name: str, key: str, table: object) -> Certificate | None:
        if not isinstance(table, dict) or not isinstance(table.get("cert"), str):
            self._problems.tell(name, key, f"{key}: a certificate has no file: add cert = 'FILE', and key = 'FILE'")
            return None
        self._problems.unknown(name, table, _CERTIFICATE, inside=key)
        names = self._strings(name, key, "names", table)
        private = table.get("key", "")
        if not isinstance(private, str):
            self._problems.tell(
                name, key, f"{key}: key = {private!r} is of the wrong kind: write a file's name in quotes"
            )
            return None
        return Certificate(self._file(table["cert"]), self._file(private), names)

    def _strings(self, name: str, key: str, what: str, table: Mapping[str, object]) -> tuple[str, ...]:
        values = listed(table.get(what, []))
        if all(isinstance(each, str) for each in values):
            return tuple(values)
        self._problems.tell(name, key, f"{key}: {what} = {table[what]!r} is of the wrong kind: write a list of strings")
        return ()

    def _file(self, text: str) -> str:
        # Relative to the file that names it: a service manager starts us in a folder of its own.
        return str(self._problems.path.parent / text) if text else ""

    def _value(self, name: str, key: str, value: object, kind: type[T]) -> T | None:
        if not isinstance(value, dict):
            self._problems.fits(name, key, value, dict, "a table")
            return None
        made, problems = make(kind, value)
        for problem in problems:
            self._problems.tell(name, key, f"{key}: {problem}")
        return made


def _each(read: Callable[[str, str, Any], T | None], name: str, key: str, value: object) -> tuple[T, ...]:
    found = (read(name, key, each) for each in listed(value))
    return tuple(each for each in found if each is not None)
