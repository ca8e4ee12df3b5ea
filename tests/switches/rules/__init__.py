"""The lists of switches: what the HTTP edge and RTMP hold to, group by group."""

from ..switch import Switch
from . import hostile, knowing, live_video, logs, nights, rtmp, secure_token, shared_cache

#: By page of the documentation: what the rules of a group are about, and the rules.
PAGES: dict[str, dict[str, list[Switch]]] = {
    "http": {
        title: rules
        for module in (shared_cache, live_video, knowing, secure_token, hostile)
        for title, rules in module.GROUPS.items()
    },
    "rtmp": rtmp.GROUPS,
    "logs": logs.GROUPS,
    "nights": nights.GROUPS,
}
GROUPS: dict[str, list[Switch]] = {title: rules for page in PAGES.values() for title, rules in page.items()}
