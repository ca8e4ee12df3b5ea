"""The page: one document, put together here once from its parts, and the policy that allows these parts alone.

The document holds nothing of the graph.  Whatever it shows comes later as JSON and is set as text, never as markup; so
the policy can name the script and the style by their hashes, and a name that somebody streams under can do nothing.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from attrs import frozen

__all__ = ["SCRIPTS", "Page", "page"]

#: The parts of the script, in their order.
SCRIPTS = ("text", "words", "chart", "graph", "series", "home", "tier", "main")


@frozen
class Page:
    """The document as it is sent."""

    body: bytes
    policy: bytes

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Fields to send with it."""
        return [
            (b"Content-Security-Policy", self.policy),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"no-referrer"),
        ]


@cache
def page() -> Page:
    """The document."""
    folder = files(__package__).joinpath("page")
    style = folder.joinpath("style.css").read_text("utf-8")
    parts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    frame = folder.joinpath("page.html").read_text("utf-8")
    body = frame.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(body.encode(), policy.encode())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
