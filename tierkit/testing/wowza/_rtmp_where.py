"""Which stream an RTMP client means: application, instance and name, however it has divided them."""

from __future__ import annotations

from tierkit.codecs.rtmp_url import Route

from ._model import DEFAULT_INSTANCE, Server
from ._sessions import Place
from ._shown_rtmp import DEFAULT_INSTANCE as ALIAS

__all__ = ["instance_of", "place_in"]


@ALIAS.shown
def instance_of(app: str) -> tuple[str, str]:
    """Application and instance of what `connect` calls the application."""
    application, _, rest = app.strip("/").partition("/")
    return application, rest.partition("/")[0] or DEFAULT_INSTANCE


def place_in(server: Server, app: str, route: Route) -> Place:
    """The place that `app` of connect and the route of a play or publish mean.

    Clients divide a URL where they like, so what stands behind the application is an instance where connect said so,
    or where there is such an instance.
    """
    application, *rest = route.path.strip("/").split("/")
    said = instance_of(app.partition("?")[0])[1]
    known = server.applications.get(application)
    instance = DEFAULT_INSTANCE
    if len(rest) > 1 and (rest[0] == said or (known is not None and rest[0] in known.instances)):
        instance = rest.pop(0)
    place = Place(application, instance, "/".join(rest))
    if route.prefix and server.find(place) is None:
        return Place(application, instance, f"{route.prefix}:{place.stream}")
    return place
