"""What the stand-in shows over HTTP on its streaming port, and how that is known."""

from __future__ import annotations

from ._behaviours import as_assumed, as_documented, as_recorded

# --- sessions and names ----------------------------------------------------------------------------

SESSION_PER_PLAYLIST = as_recorded(
    "hls-session-per-playlist",
    "in sessions mode each GET of playlist.m3u8 begins a session, and names chunklist_w<id>.m3u8",
    "S22 S23 S36",
)
SESSION_NAMES = as_recorded(
    "hls-session-names", "chunks repeat the id of the chunklist: media_w<id>_<n>.ts; ids have 31 bits", "S22 S23"
)
QUERY_NAMES = as_recorded(
    "hls-query-sessions",
    "wms3: the id stands in the query instead, chunklist-b<bitrate>.m3u8?wowzasessionid=<id>",
    "S26 S35",
)
QUERY_SESSION_RELEASE = as_assumed(
    "hls-query-sessions-release",
    "wms3 has ids in the query, all later profiles in the path",
    "the release is not known",
)
QUERY_SESSION_CONTINUES = as_assumed(
    "hls-session-continues",
    "playlist.m3u8 with the id of a living session goes on with that one",
    "recorded as a URL, S26; what it does is our reading",
)
CHILDREN_NEED_SESSION = as_assumed(
    "hls-children-need-session",
    "in sessions mode children are for a living session of their stream alone; one with no id is 404",
    "of S22 S23 S41: nobody recorded a child without an id",
)
REAPED_403 = as_recorded(
    "hls-reaped-403",
    "chunks of a session that was reaped are 403 (or 404: `reaped_status`)",
    "S41 with DASH, S23 the 404",
)
REAPED_PLAYLIST = as_assumed(
    "hls-reaped-playlist", "its chunklist is answered in the same way", "S23 and S41 tell of chunks alone"
)
UNKNOWN_SESSION = as_assumed(
    "hls-unknown-session",
    "an id that was never given, or that another stream has, is answered like a reaped one",
    "a server that has forgotten an id cannot tell",
)
IDLE_REAP = as_assumed(
    "hls-idle",
    "a session is reaped 60 s after its last request (`idle`)",
    "that they are is S41; the time is not known",
)
LABELS = as_recorded(
    "hls-name-parts",
    "names may have _b<bitrate>, _vo, _sl<language>, _t64<label>, _tk<token> and _DVR, in an order that varies",
    "S10 S24 S27 S33",
)
RANDOM_NAMES = as_assumed(
    "hls-random-names",
    "with `randomise`, chunks are media-u<random>_..., another number each time the encoder connects",
    "httpRandomizeMediaName is S21 S42; recorded for DASH alone, S34",
)
INSTANCE_ALIAS = as_documented(
    "hls-default-instance",
    "app/stream and app/_definst_/stream are one stream; names with a slash need the instance",
    "S2",
)
PREFIXES = as_documented(
    "hls-groups", "smil:<x>.smil, <x>.smil, amlst:<x> and ngrp:<x> are playlists of several renditions", "S2 S3 S10 S30"
)
LIVE_PREFIX = as_assumed(
    "hls-live-prefix",
    "mp4:<name> and flv:<name> are the live stream <name>",
    "the prefixes are S2; for live it is a guess",
)
RELATIVE = as_recorded("hls-relative", "URIs in playlists are relative", "S10 S22 S23")

# --- playlists ---------------------------------------------------------------------------------------

MASTER_BODY = as_recorded(
    "hls-master-body",
    "version 3; CODECS in decimals (avc1.66.21), none in a group's; wms3 says PROGRAM-ID=1",
    "S10 S22 S31 S36",
)
CHUNKLIST_BODY = as_recorded(
    "hls-chunklist-body", "wms3 and wse42 say EXT-X-ALLOW-CACHE:NO; EXTINF is a decimal and varies", "S10 S22 S23"
)
WINDOW = as_documented(
    "hls-window", "a playlist holds the newest 3 chunks of about 10 s, and 10 can be fetched", "S6 S31"
)
EVICTED = as_recorded("hls-evicted-404", "a chunk that is kept no more, or not there yet, is 404", "S23")
QUERY_ECHO = as_recorded(
    "hls-query-echo",
    "what a media playlist was asked for with behind its ?, its chunks carry as well",
    "S27 (S10 measured it)",
)
MASTER_ECHO = as_assumed(
    "hls-query-echo-master", "so do the chunklists of a multivariant playlist", "recorded of media playlists alone, S27"
)
HLS_LEAK = as_recorded(
    "hls-report-leak", "of low latency: the request's _HLS_ directives stand in EXT-X-RENDITION-REPORT", "S27"
)
LOW_LATENCY = as_assumed(
    "hls-low-latency",
    "of low latency: EXT-X-SERVER-CONTROL, reports, and _HLS_msn waits; chunks are whole, without parts",
    "S5 without CMAF and HTTP/2, which it asks for",
)
KEY_LINE = as_recorded("hls-key-line", "with `key_uri`: an EXT-X-KEY of AES-128; chunks stay plain", "S10")
KEY_SESSION = as_assumed(
    "hls-key-session", "in a session the key's URI has ?wowzasessionid=<id>", "a third party's guide says so, S37"
)
DVR = as_recorded("hls-dvr", "playlist.m3u8?DVR lists chunklist_..._DVR.m3u8, with more chunks", "S24b S10")
DVR_LENGTH = as_assumed(
    "hls-dvr-length", "it has the newest 60 chunks, named media_..._DVR_<n>.ts", "from the grammar of S10"
)

# --- origin mode -----------------------------------------------------------------------------------

ORIGIN_NAMES = as_recorded(
    "hls-origin-names",
    "in origin mode names carry no id: chunklist_b764000_slbul.m3u8, media_b2500000_52.ts",
    "S10 S38",
)
ORIGIN_FIXED = as_recorded(
    "hls-origin-fixed", "in origin-fixed mode all names carry one id, another on each server", "S36"
)
ORIGIN_FIXED_RESTART = as_assumed(
    "hls-origin-fixed-restart", "that id is another one after a restart", "not told in S36"
)
FIRST_QUERY = as_documented(
    "hls-origin-first-query",
    "in origin mode the query of the first request for a stream holds for all, but for ?DVR",
    "S7 S9",
)
ORIGIN_CACHE = as_assumed(
    "hls-origin-cache",
    "in origin mode Cache-Control (`cache_control`) is max-age=1 for playlists, 3600 for chunks, none for errors",
    "values of Kaltura's set-ups, S21 S42; the factory's are not known",
)

# --- headers and errors ----------------------------------------------------------------------------------

NO_CACHE = as_recorded(
    "http-no-cache", "in sessions mode all that is found is Cache-Control: no-cache", "S22 S23 S28 S29"
)
FIELDS = as_recorded(
    "http-fields",
    "Accept-Ranges: bytes, Content-Length, Server; no ETag, Last-Modified or Set-Cookie",
    "S22 S23 S28 S29",
)
OTHER_RELEASES = as_assumed(
    "http-fields-elsewhere", "wms3 has the fields of 4.2, and wse49 those of 4.7", "no dumps of them are known"
)
WMS_SERVER = as_assumed("http-server-wms3", "wms3 calls itself WowzaMediaServer/3.6.4", "no header of it was recorded")
CORS = as_recorded("http-cors", "from wse47 on: Access-Control-Allow-Origin: * and its kin", "S28 S40")
NOT_FOUND = as_recorded("http-404", "404 with Content-Length: 0 and no Cache-Control", "S23")
UNKNOWN_APPLICATION = as_assumed(
    "http-unknown-application", "so is an application or an instance that is not there", "not known"
)
FORBIDDEN = as_assumed("http-403", "403 has no body and no Cache-Control either", "as 404 is recorded")
OFF_AIR = as_assumed("http-off-air", "a stream that has gone off the air is 404, chunks included, at once", "not known")
NOT_PACKETIZED = as_documented(
    "http-not-packetized", "a stream is 404 until it has chunks for a whole playlist, some 30 s", "S66"
)
RANGES = as_assumed("http-ranges", "Range and If-Modified-Since are ignored, HEAD is answered like GET", "not known")
OPTIONS = as_assumed("http-options", "OPTIONS is 200 without a body", "named by S40")
KEEP_ALIVE = as_assumed("http-keep-alive", "connections are kept for 60 s between requests", "the limits are not known")
VERSION_PAGE = as_assumed(
    "http-version-page", "GET / says which product it is, on one line of HTML", "the words are S49, the HTML is not"
)
POLICY_FILES = as_documented("http-policy-files", "crossdomain.xml and clientaccesspolicy.xml are served", "S20 S49")
SHARED_PORT = as_documented("port-shared", "RTMP and HTTP share one port", "S1 S20")

BOUNDARIES = as_assumed(
    "profile-boundaries",
    "what differs between two profiles differs from the later one on",
    "the releases at which things changed are known for CORS alone, S40",
)
VERSIONS = as_assumed(
    "profile-versions",
    "version and build of wms3, the builds of wse42 and wse49",
    "those of 4.7.0 are S13; these are made up",
)

# --- tokens ------------------------------------------------------------------------------------------------

TOKEN_403 = as_recorded("token-403", "a wrong or missing SecureToken (version 2) is 403", "S18 S19b")
TOKEN_NAMES = as_recorded(
    "token-in-names", "a good one stands in the names of children: _tk<base64 of its query>", "S33"
)

# --- faults ------------------------------------------------------------------------------------------------

ENCODER_RESTART = as_recorded(
    "fault-encoder-restart", "when the encoder connects again, numbers begin at 0 under the same names", "S38"
)
SECOND_ORIGIN = as_recorded("fault-second-origin", "another server (`seed`) has other ids and other numbers", "S36")
SERVER_RESTART = as_assumed(
    "fault-server-restart", "a restart resets connections, forgets sessions and numbers from 0", "what a process loses"
)
SLOW = as_assumed("fault-slow", "`slow` holds answers back", "a fault for tests")
TRUNCATED = as_assumed(
    "fault-truncated", "`truncate` ends a chunk early by a reset, behind a whole Content-Length", "a fault for tests"
)
REDIRECTS = as_assumed("fault-redirects", "`redirect_loop` answers 302 to the same URL", "a fault for tests")
