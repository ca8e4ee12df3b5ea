"""What the stand-in shows over RTMP, and how it is known."""

from __future__ import annotations

from ._behaviours import as_assumed, as_documented, as_recorded

CONNECT_ORDER = as_recorded(
    "rtmp-connect-order",
    "connect is answered by WindowAckSize 2500000, SetPeerBandwidth 2500000 type 2, a ping, SetChunkSize 512, _result",
    "S62",
)
RESULT = as_assumed(
    "rtmp-result-properties",
    "the result of connect says fmsVer FMS/3,5,7,7009, capabilities 31 and mode 1",
    "many fakes say so, no recording of a Wowza was found",
)
BUFFER_EVENTS = as_recorded("rtmp-buffer-events", "user control events 31 and 32 come during play", "S63")
BUFFER_TIMES = as_assumed(
    "rtmp-buffer-events-when", "31 and 32 come together, at the start of play and every 10 s", "when is not recorded"
)
STRICT_ARRAY = as_recorded("rtmp-strict-array", "onMetaData of a transcoded stream has an AMF0 strict array", "S64")
TRACK_INFO = as_assumed(
    "rtmp-track-info", "that array is called trackinfo and has an object for each track", "its name is not recorded"
)
PING_TIMEOUT = as_documented(
    "rtmp-ping-timeout",
    "a client that leaves a ping unanswered for 12 s is dropped",
    "S20 (PingTimeout); a drop after 12 s was seen in S62, its cause is our reading",
)
PING_EVERY = as_documented(
    "rtmp-ping-every", "clients are pinged every 8 s", "S20 (ValidationFrequency of an application)"
)
UNIDENTIFIED = as_documented(
    "rtmp-unidentified", "who has not connected within 30 s is dropped", "S20 (UnidentifiedSessionTimeout)"
)
DEFAULT_INSTANCE = as_documented("rtmp-definst", "live/_definst_ and live are the same application", "S2 S65")
NO_SUCH_APPLICATION = as_assumed(
    "rtmp-no-application",
    "connect to an application that is not there, or not loaded, is refused: NetConnection.Connect.InvalidApp",
    "the code that clients know for it (S53)",
)
NOT_FOUND = as_assumed(
    "rtmp-unpublished-not-found",
    "play of a name that nobody publishes is answered StreamNotFound",
    "one of two that are legal for FMS; what Wowza does is not known",
)
WAITS = as_assumed(
    "rtmp-unpublished-waits",
    "play of a name that nobody publishes is accepted, and silent until PublishNotify",
    "the other one of the two, by configuration",
)
UNPUBLISH_NOTIFY = as_assumed(
    "rtmp-unpublish-notify",
    "players whose encoder is lost are told UnpublishNotify, stay, and are told PublishNotify when it is back",
    "what librtmp waits for (S53); that Wowza keeps them is our reading",
)
ENCODER_LOST = as_assumed(
    "rtmp-play-after-loss",
    "play of a stream whose encoder is lost is that of a name nobody publishes",
    "follows from it",
)
NEED_AUTH = as_recorded(
    "rtmp-publish-need-auth",
    "an encoder that connects without credentials is refused: code=403 need auth; authmod=adobe",
    "S53 S57",
)
AUTH_CHALLENGE = as_recorded(
    "rtmp-publish-challenge",
    "with a user it is refused with ?reason=needauth&user=...&salt=...&challenge=..., values not URL-encoded",
    "S53 S57 S58",
)
AUTH_OPAQUE = as_assumed(
    "rtmp-publish-opaque",
    "opaque is there and equals the challenge, or differs from it, or is absent, by configuration",
    "whether Wowza sends it is not known; clients differ in what they take (S59)",
)
AUTH_FAILED = as_recorded(
    "rtmp-publish-refused",
    "a wrong response is refused by ?reason=authfailed, an unknown user by nosuchuser",
    "S53 S57",
)
AUTH_REUSE = as_assumed(
    "rtmp-publish-challenge-once", "a challenge is good for one connection", "what a challenge is for"
)
ENCODERS = as_assumed(
    "rtmp-publish-encoders",
    "only clients whose flashVer begins with FMLE/, FME/, Wirecast/ or WMLE/ are asked; others may not publish",
    "publishValidEncoders exists (S56 S60), its default list is not known",
)
NO_PUBLISH = as_assumed(
    "rtmp-publish-denied",
    "who has not proved who it is and publishes gets NetStream.Publish.Denied",
    "librtmp's list (S53)",
)
DUPLICATE = as_assumed(
    "rtmp-publish-duplicate",
    "a name that is published already is refused: NetStream.Publish.BadName",
    "publishBlockDuplicateStreamNames exists (S61); the code is FMS's",
)
PUBLISHED = as_assumed(
    "rtmp-publish-accepted",
    "releaseStream, FCPublish, createStream and publish are answered as FMS does; what comes in is played at once",
    "the order of the calls is recorded (S53), the answers are FMS's",
)
PUBLISHED_HLS = as_assumed(
    "rtmp-publish-no-hls",
    "what is published into the stand-in is played over RTMP, and listed, but not packetized for HLS",
    "the stand-in has no packetizer; a Wowza has",
)
SECURE_TOKEN = as_documented(
    "rtmp-secure-token",
    "the result of connect has secureToken in hexadecimal; secureTokenResponse answers it with the text under TEA",
    "S18; the algorithm is librtmp's (S53 S54)",
)
TOKEN_TEXT = as_assumed(
    "rtmp-secure-token-text", "the text is 16 hexadecimal digits", "its alphabet and length are not known"
)
TOKEN_REFUSED = as_assumed(
    "rtmp-secure-token-refused",
    "a wrong answer ends the connection, and without one play does: NetConnection.Connect.Rejected",
    "players report that they are refused (S55); when is not known",
)
MEDIA = as_assumed(
    "rtmp-media-start",
    "a player begins with metadata, headers and the newest keyframe, timestamps since the encoder began",
    "what a player needs; Wowza's own start is not recorded",
)
