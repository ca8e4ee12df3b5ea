"""What nginx-rtmp's notify module tells a back end over HTTP, and how it takes the answer (ngx_rtmp_notify_module).

A call is a form: what the client said when it connected, then `call` and what belongs to that, then the client's own
query.  nginx-rtmp 1.2.2 (Debian's) sends them in the order of `session`, `publish` and the rest here, and
``tests/data/nginx_rtmp/callbacks.jsonl`` holds what it was heard to send.  What is done otherwise, and why:

- A parameter of the client's that is called like a field of the call is left out.  nginx appends it, and PHP takes
  the last of two: ``?name=other`` then passes for a stream that it does not publish.
- ``flashver`` is whole; nginx cuts it after 31 characters.
- A GET is appended to a URL that has a query by ``&``; nginx writes a second question mark.
- The client's query may have stood in the application, too; nginx sends that one to `on_connect` alone.

Answers: 2xx allows, 3xx with a `Location` names another stream (nginx takes ``rtmp://`` there to pull from or push to,
which is not done here), anything else denies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import quote, unquote_plus

from attrs import frozen

__all__ = ["Answer", "FORM", "connect", "done", "form", "play", "publish", "read_answer", "session", "update"]

FORM: Final = "application/x-www-form-urlencoded"
"""Media type of a call's body."""

Fields = dict[str, str | int]
_U32: Final = 0xFFFFFFFF
# What nginx 1.22 leaves as it is in an argument (NGX_ESCAPE_ARGS); quote() keeps letters, digits and _.-~ by itself.
_AS_IS: Final = "!\"$'()*,/:<=>@[\\]^`{|}"
# The same for a query that is passed on: it is encoded already, and only what may stand in no URL is mended.
_QUERY_AS_IS: Final = "!$%&'()*+,/:;=?@[]"


def session(app: str, *, flashver: str, swfurl: str, tcurl: str, pageurl: str, addr: str, clientid: int) -> Fields:
    """What every call begins with."""
    return {
        "app": app,
        "flashver": flashver,
        "swfurl": swfurl,
        "tcurl": tcurl,
        "pageurl": pageurl,
        "addr": addr,
        "clientid": clientid,
    }


def connect(epoch: int) -> Fields:
    """Of a client that connects; `epoch` is some clock's milliseconds."""
    return {"epoch": epoch & _U32, "call": "connect"}


def publish(name: str, type_: str) -> Fields:
    """Of one that wants to publish; `type_` is "live", or "record" and "append"."""
    return {"call": "publish", "name": name, "type": type_}


def play(name: str, *, start: int, duration: int, reset: int) -> Fields:
    """Of one that wants to play: what it sent, as unsigned numbers of 32 bits."""
    return {"call": "play", "name": name, "start": start & _U32, "duration": duration & _U32, "reset": reset & 1}


def update(what: str, name: str, *, seconds: int, timestamp: int) -> Fields:
    """Of one that still does `what`, "publish" or "play"."""
    return {"call": f"update_{what}", "time": seconds, "timestamp": timestamp & _U32, "name": name}


def done(call: str, name: str) -> Fields:
    """Of one that has left: `call` is "publish_done", "play_done", "done" or "disconnect"."""
    return {"call": call, "name": name} if name else {"call": call}


def form(fields: Mapping[str, str | int], query: str = "") -> str:
    """The call as it is sent; `query` is the client's own, as it was sent."""
    own = "&".join(f"{name}={quote(str(value), safe=_AS_IS, errors='replace')}" for name, value in fields.items())
    others = "&".join(each for each in query.split("&") if each and not _means(each, fields))
    return f"{own}&{quote(others, safe=_QUERY_AS_IS, errors='replace')}" if others else own


def _means(parameter: str, names: Collection[str]) -> bool:
    """Whether some back end may take a parameter for one of these: PHP drops spaces before a name and what is behind
    a bracket or a NUL, and others do not know capitals."""
    name = unquote_plus(parameter.partition("=")[0]).strip().casefold()
    for mark in ("[", "\0"):
        name = name.partition(mark)[0]
    return name in names


@frozen
class Answer:
    """What a back end has decided.  `name` is that of the stream that is meant instead, "" for the same."""

    allowed: bool
    name: str = ""
    #: The client's query from now on, where the new name has one.
    query: str = ""
    #: A server was named, to pull from or push to.
    elsewhere: bool = False


def read_answer(status: int, location: str = "") -> Answer:
    """An answer by its status and its Location."""
    if 200 <= status < 300:
        return Answer(True)
    if not 300 <= status < 400:
        return Answer(False)
    location = location.strip()
    if "://" in location.partition("?")[0]:
        return Answer(False, elsewhere=True)
    name, _, query = location.partition("?")
    return Answer(True, name.strip("/"), query)
