"""Text from strangers, as it may stand on a line or a screen."""

from __future__ import annotations

__all__ = ["visible"]


def visible(text: str) -> str:
    """`text` on one line, with whatever does not print spelt out: nobody writes lines, or moves cursors, of ours."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
