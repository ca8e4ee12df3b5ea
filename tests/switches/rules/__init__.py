"""The list of switches: what the HTTP edge holds to, group by group."""

from ..switch import Switch
from . import hostile, knowing, live_video, shared_cache

#: What the rules of a group are about, and the rules.
GROUPS: dict[str, list[Switch]] = {
    title: rules for module in (shared_cache, live_video, knowing, hostile) for title, rules in module.GROUPS.items()
}
