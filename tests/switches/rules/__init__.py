"""The lists of switches: what the HTTP edge, RTMP and what is told of them hold to, group by group."""

from ..switch import Switch
from . import (
    chopped,
    hostile,
    knowing,
    live_video,
    logs,
    nights,
    observing,
    plan,
    rtmp,
    secure_token,
    shared_cache,
)

#: By page of the documentation: what the rules of a group are about, and the rules.
PAGES: dict[str, dict[str, list[Switch]]] = {
    "http": {
        title: rules
        for module in (shared_cache, live_video, chopped, knowing, secure_token, hostile)
        for title, rules in module.GROUPS.items()
    },
    "rtmp": rtmp.GROUPS,
    "metrics": observing.GROUPS,
    "logs": logs.GROUPS,
    "nights": nights.GROUPS,
    "plan": plan.GROUPS,
}
GROUPS: dict[str, list[Switch]] = {title: rules for page in PAGES.values() for title, rules in page.items()}
