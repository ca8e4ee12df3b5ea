"""What the stand-in shows of the REST API (8087), and how it is known."""

from __future__ import annotations

from ._behaviours import as_assumed, as_documented, as_recorded

CHALLENGE = as_recorded(
    "rest-challenge",
    'who is not known is asked: Digest realm="Wowza", domain="/", nonce of base64("<ms>:<32 hex>"), MD5, qop="auth"',
    "S13",
)
BASIC = as_documented("rest-basic", "current installations ask by basic", "S15")
BASIC_REALM = as_assumed("rest-basic-realm", "its realm is Wowza too", "not recorded")
NONCE_LIFETIME = as_assumed(
    "rest-nonce-lifetime", "a nonce is good for 300 s, then stale=true", "its lifetime is not known"
)
HEADERS = as_recorded(
    "rest-headers", "Server: Restlet-Framework/2.2.2, bodies in chunks, CORS for every origin with Authorization", "S13"
)
CORS_LISTS = as_assumed(
    "rest-cors-lists", "the lists of methods and fields that CORS allows", "Authorization alone is known"
)
ACCEPT = as_recorded(
    "rest-accept",
    "JSON where Accept names it, else XML with capitalised elements, also where Accept is misspelt",
    "S50 S51",
)
XML_FORM = as_assumed(
    "rest-xml-form",
    "the root is named after what is asked for; serverName, restURI, id and href are attributes",
    "roots and attributes are not known",
)
URIS = as_recorded("rest-uris", "4.3 has restURI and absolute hrefs, 4.7.0 serverName and relative ones", "S12 S13 S16")
STATUS = as_recorded("rest-status", "the status of the server", "S13")
LICENCE = as_assumed(
    "rest-licence",
    "a server that may be an HTTP origin says Subscription and Production",
    "the recorded one was a Developer's, without it",
)
MACHINE = as_documented("rest-machine", "figures of the machine by the vendor's names", "S14")
MACHINE_FIGURES = as_assumed("rest-machine-figures", "they grow with the connections", "something has to be said")
CURRENT = as_recorded("rest-current", "figures of an application, by kind of connection", "S13")
SERVER_CURRENT = as_assumed(
    "rest-server-current", "those of the server and the vhost look like an application's", "S14"
)
STREAM_CURRENT = as_recorded("rest-stream-current", "figures of an incoming stream", "S13")
UNKNOWN_STREAM_CURRENT = as_assumed(
    "rest-unknown-stream-zeros", "figures of a stream that is not there are 200 with zeros", "read from S13"
)
APPLICATIONS = as_recorded("rest-applications", "the list of applications", "S13")
APPLICATION = as_assumed("rest-application", "one application: its name and appType", "most settings are left out")
CREATE = as_recorded("rest-create", "201 for a new application, 409 for one that is there, 200 for a change", "S13")
CREATE_BODY = as_documented("rest-create-body", "JSON with name and appType", "S14")
ERRORS = as_recorded("rest-errors", "401, 404 and 409 have a body, whose code is text", "S13")
BAD_REQUEST = as_assumed(
    "rest-bad-request", "400, 405 and 415 look like the recorded errors", "only 401, 404, 409 are recorded"
)
APPLICATION_ACTIONS = as_documented("rest-application-actions", "start, shutdown and restart of an application", "S14")
UNKNOWN_APPLICATION = as_recorded("rest-unknown-application", "404 for an application that is not there", "S13")
INSTANCES = as_recorded("rest-instances", "instances with their incoming streams", "S13")
UNKNOWN_INSTANCE = as_recorded("rest-unknown-instance", "200 with empty lists for an instance that is not there", "S13")
INCOMING = as_assumed(
    "rest-incoming", "one incoming stream has the keys of the list; 404 for another", "read from S13 S14"
)
DISCONNECT = as_documented("rest-disconnect", "disconnectStream and resetStream of an incoming stream", "S8 S14")
STREAM_FILES = as_documented(
    "rest-streamfiles", "stream files are listed, created and connected; they become NAME.stream", "S8 S12"
)
STREAM_FILE_BODIES = as_assumed("rest-streamfile-bodies", "their bodies, and 409 for a second one", "not recorded")
HOST_PORTS = as_documented("rest-hostports", "ports and the HTTP providers at each, with how they authenticate", "S14")
HOST_PORT_BODIES = as_assumed("rest-hostport-bodies", "the keys of that body", "not recorded")
PUBLISHERS = as_recorded("rest-publishers", "publishers are created with an empty message, and removed", "S13")
NO_REST = as_documented("rest-none", "wms3 has no REST API: nothing listens", "S14 (REST from 4.x)")
