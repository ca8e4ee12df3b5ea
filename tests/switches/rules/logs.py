"""What logs tell: nothing that is secret, of viewers no more than was said, and no line that a stranger has written."""

import re
from typing import Final

from ..switch import Switch


def _as_it_is(peer: str, how: str) -> str:
    """An address whatever was said of addresses."""
    return peer


def _whole(target: str) -> str:
    """A path with its query: what nginx logs."""
    return target


def _any_id(value: bytes | None) -> str:
    """Whatever somebody calls a request."""
    return (value or b"").decode("latin-1")


_LINES: Final = "codecs/test_access_line.py::"
GROUPS: Final[dict[str, list[Switch]]] = {
    "Logs": [
        Switch(
            rule="A log tells a viewer's network, and not the viewer, unless it was told to",
            source="Matomo's and nginx's usual truncation",
            off={"tierkit._masking:mask_host": _as_it_is},
            tests=("core/test_logwriter.py::test_what_is_told_of_viewers",),
        ),
        Switch(
            rule="No value of a query stands in an access log, but of HLS directives",
            source="signed URLs: whoever has the token may watch",
            off={"tierkit.codecs.access_line:hide_values": _whole},
            tests=(f"{_LINES}test_values_are_hidden", "core/test_logwriter.py::test_what_is_told_of_viewers"),
        ),
        Switch(
            rule="Nobody writes a line of an access log, or ends a quote in one",
            source="nginx, ngx_http_log_module, escape=default (CVE-2009-4487)",
            off={
                "tierkit.codecs.access_line:_ODD": re.compile("(?!)"),
                "tierkit.codecs.access_line:_PLAIN": re.compile(".*", re.DOTALL),
            },
            tests=(f"{_LINES}test_a_stranger_writes_no_line_of_his_own",),
        ),
        Switch(
            rule="An id that somebody brings is one by its syntax, and bounded",
            source="nginx, $request_id taken from the client",
            off={"tierkit.codecs.access_line:request_id_in": _any_id},
            tests=(f"{_LINES}test_what_is_none_is_not",),
        ),
    ],
}
