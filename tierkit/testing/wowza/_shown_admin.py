"""What the stand-in shows at its port for administration (8086), and how it is known."""

from __future__ import annotations

from ._behaviours import as_assumed, as_documented, as_recorded

COUNTS = as_recorded("admin-connectioncounts", "GET /connectioncounts is answered as in the recording", "S44 S45")
ROOTS = as_recorded(
    "admin-roots", "the root element is WowzaMediaServer, WowzaMediaServerPro or WowzaStreamingEngine", "S44 S46 S47"
)
FLAT = as_documented("admin-flat", "?flat gives one row for each stream, in attributes, without totals", "S45")
FLAT_ROOT = as_assumed("admin-flat-root", "its root is that of the nested form", "not shown in the vendor's sample")
ENCODED = as_recorded("admin-names", "names are form-urlencoded inside the elements", "S44 S45")
ZEROS = as_recorded("admin-zeros", "a stream that is published and that nobody plays is listed with zeros", "S44")
LOADED = as_documented("admin-loaded", "connectioncounts lists applications that are loaded, and no others", "S45")
DASH = as_assumed("admin-dash", "SessionsMPEGDash comes with wse47", "only in newer builds; from which on is not known")
INFO = as_assumed(
    "admin-serverinfo",
    "GET /serverinfo: RTMP clients, sessions of HTTP streaming, applications that are not loaded",
    "the names of the elements are those of client models (S47 S48), their casing and order are not known",
)
RATES = as_assumed("admin-rates", "rates are bytes a second over the last ten seconds", "the unit is our reading")
DIGEST = as_documented("admin-digest", "all of it asks by HTTP digest, or by basic where that is set up", "S20 S21 S43")
DIGEST_FORM = as_assumed(
    "admin-digest-form", "realm Wowza, a nonce like that of REST, MD5, qop auth", "not recorded; RFC 2617 otherwise"
)
NOT_SHOWN = as_assumed(
    "admin-not-shown",
    "connectioninfo, streammanager and the other providers ask who it is, and answer 404",
    "they exist (S20), their bodies are not known",
)
