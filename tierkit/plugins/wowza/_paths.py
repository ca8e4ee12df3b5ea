"""Where a stream stands in a path of ours, and on a Wowza: the application, its instance, the stream, a file."""

from __future__ import annotations

import re

__all__ = ["DEFAULT_INSTANCE", "application", "short"]

#: The instance that a URL without one means (vendor: "about playing Wowza Streaming Engine streams").
DEFAULT_INSTANCE = "_definst_"
# What stands behind the stream's name in a URL of HTTP streaming, by the vendor's post-fixes.  A name in
# RTMP has no such file behind it, though it may end in `.stream` or, with a prefix, in `.mp4`.
_FILE = re.compile(r"^[^:]*\.(m3u8|mpd|f4m|ts|aac|m4s|mp4|cmf[vat]|vtt|webvtt|key)\Z")


def short(path: str, instance: str) -> tuple[str, str]:
    """The short spelling of a stream's path, and the file behind it, empty where there is none.

    A default instance is left out where that is legal, another one put in: Wowza takes ``app/stream`` for
    ``app/_definst_/stream`` where the stream's name has no slash.
    """
    parts = path.lstrip("/").split("/")
    file = parts.pop() if len(parts) > 2 and _FILE.search(parts[-1]) else ""
    if instance != DEFAULT_INSTANCE:
        # Here a path that says _definst_ means it, so it stays.
        if len(parts) == 2 and not (file and parts[1] in (instance, DEFAULT_INSTANCE)):
            parts.insert(1, instance)
    elif len(parts) == 3 and parts[1] == DEFAULT_INSTANCE:
        del parts[1]
    return "/" + "/".join(parts), file


def application(path: str) -> str:
    """The application that a path is in."""
    return path.lstrip("/").partition("/")[0]
