"""A reason, in words for people and in one word for counters."""

from __future__ import annotations

__all__ = ["Because", "word_of"]


class Because(str):
    """A reason as a person reads it, and the one word under which such reasons are counted.

    It is a string everywhere it goes.  A word is one of few: what varies (names, numbers) stays in the sentence.
    """

    __slots__ = ("word",)
    word: str

    def __new__(cls, text: str, *, word: str) -> Because:
        """Say `text`, and count it as `word`."""
        self = super().__new__(cls, text)
        self.word = word
        return self


def word_of(reason: str) -> str:
    """What a reason is counted as: its own word, or "other"."""
    return reason.word if isinstance(reason, Because) else "other"
