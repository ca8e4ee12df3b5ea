r"""What of a path makes no difference: session ids that servers put into file names and folders.

Wowza names a playlist ``chunklist_w4135965.m3u8``, Java servers write ``;jsessionid=1A2B`` behind a segment.  A rule is
a pattern and what stands in its place in the key; the path goes upstream as it came.

A pattern is a regular expression of the kind that needs no second try, because it runs on what strangers send:

    characters  \. and other escaped signs  \d \w  [a-f0-9] [^/;]  .  each with + * ? {3} {3,5} {3,} behind it or not,
    (...) around a part for \1 to \9 in the replacement, ^ at the start and $ at the end

- No group is repeated, there are no alternatives and no look-around: give several rules instead.
- What follows a repeat of varying length cannot continue it: ``\d+x`` is good, ``\d+7`` and ``.*x`` are refused.  So
  there is one way to match from each place, and giving up costs no second look.
- It begins with something that no repeat of more than `SHORT` in front of its end runs over: ``_w\d+\.ts`` is good,
  ``\d+_`` is refused, because on a path of digits each digit would be a start that is scanned to the end.

With these three, time is linear in the length of the path.  A percent-encoded letter, digit, ``-``, ``_`` or ``~`` is
its own plain form first (RFC 3986 section 6.2.2.2), so ``%5Fw1`` does not get past ``_w\d+``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from attrs import frozen

from ..errors import LocalProtocolError

__all__ = ["PathRule", "path_problem"]

#: Characters of a pattern, and of its replacement: these are ids, not programs.
LONGEST = 200
#: Most repeats that a bound may name.
MOST_REPEATS = 1000
#: Repeats up to this many may be gone over again from each place: that is a factor, and no power.
SHORT = 64
#: All that stands in a path as it is sent (RFC 9112 section 3.2 and what browsers leave alone): visible ASCII.
_VISIBLE = frozenset(map(chr, range(0x21, 0x7F)))
_DIGITS = frozenset("0123456789")
_WORD = frozenset(each for each in _VISIBLE if each.isalnum() or each == "_")

_PIECE = re.compile(
    r"""(?P<group>[()])
    |(?:\\(?P<escape>[^A-CE-Za-ce-vx-z0-9])|\[(?P<not>\^?)(?P<set>(?:\\[^A-CE-Za-ce-vx-z0-9]|[^\\\]\[])+)\]
       |(?P<any>\.)|(?P<plain>[A-Za-z0-9/_~;=,@:!&'%<>"#-]))
     (?:(?P<sign>[+*?])|\{(?P<low>[0-9]{1,4})(?P<comma>,(?P<high>[0-9]{1,4})?)?\})?(?![+*?{])""",
    re.VERBOSE,
)
_MEMBER = re.compile(r"(?:\\(.)|([^\\]))(?:-([^\\\]-]))?")
_REPLACEMENT = re.compile(r"(?:[A-Za-z0-9/._~;=,@:!&'%()*+$-]|\\[1-9])*\Z")
_UNRESERVED = re.compile("%(?:2[Dd]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AaFf]|7[0-9AaEe])")


@frozen
class _Atom:
    """Some of a set of characters: `low` to `high` of them, without end where that is None."""

    text: str
    chars: frozenset[str]
    low: int = 1
    high: int | None = 1

    @property
    def varies(self) -> bool:
        return self.low != self.high


def _escaped(char: str) -> frozenset[str]:
    return {"d": _DIGITS, "D": _VISIBLE - _DIGITS, "w": _WORD, "W": _VISIBLE - _WORD}.get(char, frozenset(char))


def _chars(match: re.Match[str]) -> frozenset[str]:
    """What one piece of a pattern stands for."""
    if match["any"]:
        return _VISIBLE
    if match["plain"]:
        return frozenset(match["plain"])
    if match["escape"]:
        return _escaped(match["escape"])
    found: set[str] = set()
    for member in _MEMBER.finditer(match["set"]):
        escape, first, last = member.groups()
        if last is None:
            found |= _escaped(escape) if escape else {first}
        elif escape and len(_escaped(escape)) != 1:
            raise LocalProtocolError(f"[{match['set']}] has a range from a class")
        else:
            found |= set(map(chr, range(ord(escape or first), ord(last) + 1)))
    return _VISIBLE - found if match["not"] else frozenset(found & _VISIBLE)


def _repeats(match: re.Match[str]) -> tuple[int, int | None]:
    if match["sign"]:
        return {"+": (1, None), "*": (0, None), "?": (0, 1)}[match["sign"]]
    if match["low"] is None:
        return 1, 1
    low = int(match["low"])
    high = int(match["high"]) if match["high"] else None if match["comma"] else low
    if low > MOST_REPEATS or (high is not None and not low <= high <= MOST_REPEATS):
        raise LocalProtocolError(f"{match.group()} repeats from more to less, or more than {MOST_REPEATS} times")
    return low, high


def _parsed(pattern: str) -> tuple[list[_Atom | str], list[_Atom]]:
    """All pieces in order, groups' brackets among them, and the atoms alone.  Raises LocalProtocolError."""
    pieces: list[_Atom | str] = []
    depth = place = 0
    while place < len(pattern):
        match = _PIECE.match(pattern, place)
        if match is None:
            raise LocalProtocolError(f"{pattern[place:]!r} is no part of a pattern: see what one may have")
        place = match.end()
        if match["group"]:
            depth += 1 if match["group"] == "(" else -1
            if not 0 <= depth <= 1 or pattern[place : place + 1] in ("*", "+", "?", "{"):
                raise LocalProtocolError("groups stand alone: not within each other, and not repeated")
            pieces.append(match["group"])
            continue
        pieces.append(_Atom(match.group(), _chars(match), *_repeats(match)))
    if depth:
        raise LocalProtocolError("a bracket is open")
    return pieces, [each for each in pieces if isinstance(each, _Atom)]


def _check_not_empty(atoms: list[_Atom]) -> None:
    if not any(each.low for each in atoms):
        raise LocalProtocolError("it matches nothing at all: give something that must be there")


def _check_repeats_end(atoms: list[_Atom]) -> None:
    """One way to match from each place."""
    for number, atom in enumerate(atoms):
        for later in atoms[number + 1 :] if atom.varies else ():
            if atom.chars & later.chars:
                raise LocalProtocolError(f"{later.text} may go on where {atom.text} ended: give classes that differ")
            if later.low:
                break


def _check_starts(atoms: list[_Atom], ends: bool) -> None:
    """No place within a long repeat is the start of another try."""
    first = frozenset[str]()
    for atom in atoms:
        first |= atom.chars
        if atom.low:
            break
    for atom in atoms:
        # The last one is content with as little as it needs.
        longest = atom.low if atom is atoms[-1] and not ends else atom.high
        if (longest is None or longest > SHORT) and atom.chars & first:
            raise LocalProtocolError(f"{atom.text} runs over what the pattern begins with: begin with a fixed sign")


def _written(pieces: list[_Atom | str]) -> str:
    """The pattern for Python, from what was understood of it; nothing is tried twice."""
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        chars = "".join(map(re.escape, sorted(piece.chars)))
        high = "" if piece.high is None else str(piece.high)
        text += f"[{chars}]" + ("" if piece.low == piece.high == 1 else f"{{{piece.low},{high}}}+")
    return text


def _compiled(pattern: str) -> re.Pattern[str]:
    if not pattern or len(pattern) > LONGEST:
        raise LocalProtocolError(f"a pattern has 1 to {LONGEST} characters")
    bound, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    pieces, atoms = _parsed(pattern[bound : len(pattern) - ends])
    if any(not each.chars for each in atoms):
        raise LocalProtocolError("a class has no character of a path in it")
    _check_not_empty(atoms)
    _check_repeats_end(atoms)
    if not bound:
        _check_starts(atoms, ends)
    return re.compile(("\\A" if bound else "") + _written(pieces) + ("\\Z" if ends else ""))


def _checked_replacement(text: str, groups: int) -> str:
    numbers = [int(each[1]) for each in re.findall(r"\\[1-9]", text)]
    if len(text) > LONGEST or _REPLACEMENT.match(text) is None or max(numbers, default=0) > groups:
        raise LocalProtocolError(f"{text!r} cannot stand in a path: give plain characters, and \\1 for the first group")
    return text


def path_problem(pattern: str, replacement: str) -> str:
    """What is wrong with a pattern and its replacement, for people, or ""."""
    try:
        _checked_replacement(replacement, _compiled(pattern).groups)
    except LocalProtocolError as error:
        return f"path pattern {pattern!r}: {error}"
    return ""


class PathRule:
    """Takes out of paths what makes no difference.

    Args:
        rules: pairs of a pattern and what stands in its place, applied in order, each to all places at once.

    Raises LocalProtocolError for one that `path_problem` tells.
    """

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        self.rules = tuple((pattern, replacement) for pattern, replacement in rules)
        for pattern, replacement in self.rules:
            if problem := path_problem(pattern, replacement):
                raise LocalProtocolError(problem)
        self._compiled = [(_compiled(pattern), replacement) for pattern, replacement in self.rules]

    def canonical(self, target: str) -> str:
        """The path, with its query where it has one, as the key has it; the query is left alone."""
        path, mark, query = target.partition("?")
        if "%" in path:
            path = _UNRESERVED.sub(lambda match: unquote(match.group()), path)
        for pattern, replacement in self._compiled:
            path = pattern.sub(replacement, path)
        return path + mark + query
