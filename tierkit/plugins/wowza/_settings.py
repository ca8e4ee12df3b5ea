"""What the source at work asks of its recipe, which cannot be imported where that opens it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Settings"]


class Settings(Protocol):
    """The options of `Wowza`, but for those of its control ports."""

    @property
    def app(self) -> str: ...

    @property
    def instance(self) -> str: ...

    @property
    def http_port(self) -> int: ...

    @property
    def rtmp_port(self) -> int: ...

    @property
    def flash_version(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def signing_secret(self) -> str: ...

    @property
    def signing_prefix(self) -> str: ...

    @property
    def signing_algorithm(self) -> str: ...

    @property
    def signing_address(self) -> str: ...

    @property
    def tls(self) -> bool: ...

    @property
    def query(self) -> tuple[str, ...]: ...
