"""`tierkit purge`: have the tiers behind a control address forget what has changed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import trio
import typer
from attrs import frozen

from tierkit import Address, RealNetwork, Trust
from tierkit.errors import LocalProtocolError, TierkitError, UpstreamError
from tierkit.http import HttpClient
from tierkit.plugin import Pattern

from ._cli_common import TOKEN, complain, told
from ._cli_control import dialled

__all__ = ["purge"]

#: Bytes of an answer: a line for each of some thousand tiers.
LONGEST_ANSWER = 1 << 20
#: Seconds for all of it: a parent gives its children two.
PATIENCE = 15.0
#: Statuses of what was asked wrongly: the body says how.
_USAGE = frozenset({400, 401, 403, 404, 405})
#: What a token consists of: nothing that would end a header field.
_TOKEN = re.compile(r"[^\x00-\x20\x7f]+\Z")


@told
def purge(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The control address, HOST:PORT or a URL.")],
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="A URL, a path, '/a/prefix/*', stream:APP/NAME, or '*'.")
    ],
    soft: Annotated[bool, typer.Option("--soft", help="Have it be stale: served on while one request looks.")] = False,
    tier: Annotated[str | None, typer.Option("--tier", metavar="NAME", help="Only this tier, not all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Say that everything is meant, with '*'.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help=f"Where the control token is, if not in {TOKEN}."),
    ] = None,
    ca: Annotated[str, typer.Option("--ca", metavar="FILE", help="Who has signed its certificate (PEM).")] = "",
) -> None:
    """Forget what is stored: tierkit purge :9000 '/live/s/*'; prints how many objects each tier had.

    The graph's control token is taken from TIERKIT_CONTROL_TOKEN or --token-file.  Exit code 1 if a tier did not do it.
    """
    where = dialled(address)
    _check_pattern(pattern, everything)
    said = {"path": pattern, **({"soft": "1"} if soft else {}), **({"all": "1"} if everything else {})}
    if tier is not None:
        said["tier"] = tier
    answer = trio.run(_post, where, said, _token(token_file), Trust(ca=ca) if ca else None)
    if answer.status in _USAGE:
        raise _wrong(f"{where}: {' '.join(answer.text.split())[:500]}")
    _tell(where, answer)


def _wrong(line: str) -> typer.Exit:
    complain([line])
    return typer.Exit(2)


def _check_pattern(text: str, everything: bool) -> None:
    try:
        pattern = Pattern.parse(text)
    except LocalProtocolError as error:
        raise _wrong(str(error)) from None
    if pattern.everything and not everything:
        raise _wrong(f"{text!r} is everything there is: add --all if that is meant")


def _token(file: Path | None) -> str:
    if file is None:
        found, where = os.environ.get(TOKEN, ""), TOKEN
    else:
        try:
            found, where = file.read_text("utf-8").strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong(f"{file} cannot be read: {error}") from None
    if _TOKEN.match(found) is None:
        raise _wrong(f"no token is in {where}: have the graph's control_token there, or in a file with --token-file")
    return found


@frozen
class _Answer:
    status: int
    text: str


async def _post(where: Address, said: dict[str, str], token: str, trust: Trust | None) -> _Answer:
    client = HttpClient(RealNetwork(), trio.current_time)
    headers = [
        (b"Authorization", b"Bearer " + token.encode()),
        (b"Content-Type", b"application/x-www-form-urlencoded"),
    ]
    url, form = where.with_(path="/purge"), urlencode(said).encode()
    try:
        with trio.fail_after(PATIENCE):
            async with client.request("POST", url, headers, form, trust=trust) as response:
                return _Answer(response.status, (await response.read(LONGEST_ANSWER)).decode(errors="replace"))
    except UpstreamError as error:
        raise TierkitError(error.reason) from None
    except trio.TooSlowError:
        raise TierkitError(f"{where} has not answered within {PATIENCE:g} s: ask again, it does no harm") from None
    finally:
        client.close()


def _tell(where: Address, answer: _Answer) -> None:
    """How many each tier had, and which did not do it."""
    try:
        found: dict[str, Any] = json.loads(answer.text)
        counts = dict(found["purged"])
    except (ValueError, KeyError, TypeError):
        raise TierkitError(f"{where} answers {answer.status}: is this tierkit's control address?") from None
    for name, count in counts.items():
        if count is not None:
            typer.echo(f"{name} {count}")
    failed = [name for name, count in counts.items() if count is None]
    complain([f"{name}: not purged: it did not answer in time, or failed, which its log says" for name in failed])
    if failed:
        raise typer.Exit(1)
