"""Wowza's counters.  The invariant: any bytes give counts or RemoteProtocolError, and nothing is expanded or kept
beyond its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import wowza_xml
from tierkit.codecs.wowza_counts import ClientRow, Counters, Counts, StreamCount, read_counts
from tierkit.codecs.wowza_xml import MAX_DEPTH, MAX_ELEMENTS, MAX_TEXT, MAX_XML, number, read_xml
from tierkit.errors import RemoteProtocolError

#: As a Wowza Media Server was recorded to say it, cut to one stream.
RECORDED = b"""<?xml version="1.0"?>
<WowzaMediaServer><ConnectionsCurrent>6</ConnectionsCurrent><ConnectionsTotal>293</ConnectionsTotal>
 <ConnectionsTotalAccepted>287</ConnectionsTotalAccepted><ConnectionsTotalRejected>6</ConnectionsTotalRejected>
 <MessagesInBytesRate>403858.0</MessagesInBytesRate><MessagesOutBytesRate>175126.0</MessagesOutBytesRate>
 <VHost><Name>_defaultVHost_</Name><TimeRunning>505435.573</TimeRunning><ConnectionsLimit>0</ConnectionsLimit>
  <Application><Name>devvsqlive</Name><Status>loaded</Status><TimeRunning>505434.616</TimeRunning>
   <ApplicationInstance><Name>_definst_</Name><TimeRunning>505434.575</TimeRunning>
    <Stream><Name>461272.stream</Name><SessionsFlash>0</SessionsFlash><SessionsCupertino>0</SessionsCupertino>
     <SessionsSanJose>0</SessionsSanJose><SessionsSmooth>0</SessionsSmooth><SessionsRTSP>0</SessionsRTSP>
     <SessionsTotal>0</SessionsTotal></Stream>
    <Stream><Name>294%2F294%2F294_content_lq.mp4</Name><SessionsFlash>4</SessionsFlash>
     <SessionsCupertino>2</SessionsCupertino><SessionsTotal>6</SessionsTotal></Stream>
   </ApplicationInstance></Application></VHost></WowzaMediaServer>"""
FLAT = b"""<WowzaMediaServer><Stream vhostName="_defaultVHost_" applicationName="live" appInstanceName="_definst_"
 streamName="a%20b%2Bc.stream" sessionsFlash="1" sessionsCupertino="2" sessionsMPEGDash="3" sessionsTotal="6"/>
</WowzaMediaServer>"""
INFO = b"""<WowzaMediaServerPro><ConnectionsCurrent>3</ConnectionsCurrent><VHost><Name>_defaultVHost_</Name>
<Application><Name>old</Name><Status>unloaded</Status></Application>
<Application><Name>live</Name><Status>loaded</Status><ApplicationInstance><Name>_definst_</Name>
 <RTMPConnectionCount>1</RTMPConnectionCount><CupertinoConnectionCount>2</CupertinoConnectionCount>
 <Client><ClientId>1</ClientId><FlashVersion>LNX+9%2C0%2C124%2C2</FlashVersion><IpAddress>192.0.2.7</IpAddress>
  <Referrer></Referrer><TimeRunning>12.5</TimeRunning><URI>rtmp://wowza.example:1935/live?token=s3cret</URI>
  <Protocol>RTMP</Protocol><Port>50000</Port></Client>
 <HTTPSession><SessionId>929118404</SessionId><IpAddress>192.0.2.8</IpAddress><QueryString>token=s3cret</QueryString>
  <TimeRunning>3</TimeRunning><URI>live%2Fs%2Fplaylist.m3u8%3Ftoken%3Ds3cret</URI><Protocol>HTTP/1.1</Protocol>
  <SessionType>cupertino</SessionType></HTTPSession>
 <Stream><Name>s</Name><SessionsFlash>1</SessionsFlash><SessionsCupertino>1</SessionsCupertino>
  <SessionsTotal>2</SessionsTotal></Stream>
</ApplicationInstance></Application></VHost></WowzaMediaServerPro>"""


def test_the_recorded_document() -> None:
    assert read_counts(RECORDED) == Counts(
        counters=Counters(
            current=6, total=293, accepted=287, rejected=6, bytes_in_rate=403858.0, bytes_out_rate=175126.0
        ),
        applications={"devvsqlive": "loaded"},
        streams=(
            StreamCount(
                app="devvsqlive",
                instance="_definst_",
                name="461272.stream",
                sessions={"rtmp": 0, "hls": 0, "hds": 0, "smooth": 0, "rtsp": 0},
                total=0,
            ),
            StreamCount(
                app="devvsqlive",
                instance="_definst_",
                name="294/294/294_content_lq.mp4",
                sessions={"rtmp": 4, "hls": 2},
                total=6,
            ),
        ),
    )
    assert read_counts(RECORDED).viewers == 6


@pytest.mark.parametrize("root", [b"WowzaStreamingEngine", b"WowzaMediaServerPro", b"Whatever"])
def test_the_root_is_not_looked_at(root: bytes) -> None:
    assert read_counts(RECORDED.replace(b"WowzaMediaServer", root)) == read_counts(RECORDED)


def test_elements_that_are_not_known_are_read_over() -> None:
    more = RECORDED.replace(b"<Stream>", b"<News a='1'><Stream><Name>no</Name></Stream></News><Stream><New>1</New>")
    assert read_counts(more) == read_counts(RECORDED)


def test_a_protocol_of_a_newer_release_is_counted() -> None:
    more = RECORDED.replace(b"<SessionsTotal>6", b"<SessionsWebRTC>3</SessionsWebRTC><SessionsTotal>9")
    assert read_counts(more).streams[1].sessions == {"rtmp": 4, "hls": 2, "webrtc": 3}
    assert read_counts(more).streams[1].total == 9


def test_flat_rows() -> None:
    found = read_counts(FLAT)
    assert found.counters == Counters()
    assert found.applications == {"live": "loaded"}
    assert found.streams == (
        StreamCount(
            app="live", instance="_definst_", name="a b+c.stream", sessions={"rtmp": 1, "hls": 2, "dash": 3}, total=6
        ),
    )


def test_clients_have_no_queries() -> None:
    found = read_counts(INFO)
    assert found.applications == {"old": "unloaded", "live": "loaded"}
    assert found.clients == (
        ClientRow(
            app="live",
            instance="_definst_",
            kind="client",
            address="192.0.2.7",
            protocol="rtmp",
            uri="rtmp://wowza.example:1935/live",
            agent="LNX 9,0,124,2",
            seconds=12.5,
        ),
        ClientRow(
            app="live",
            instance="_definst_",
            kind="httpsession",
            address="192.0.2.8",
            protocol="hls",
            uri="live/s/playlist.m3u8",
            seconds=3,
        ),
    )
    assert "s3cret" not in repr(found)


def test_rows_in_a_list_of_their_own_and_in_any_case() -> None:
    listed = INFO.replace(b"<Client>", b"<Clients><client>").replace(b"</Client>", b"</client></Clients>")
    listed = listed.replace(b"IpAddress", b"ipAddress")
    assert read_counts(listed).clients == read_counts(INFO).clients


@pytest.mark.parametrize(
    ("text", "told"),
    [("", None), ("x", None), ("-1", None), ("1e400", None), ("12.0", 12), ("99999999999999999999", None)],
)
def test_a_number_that_is_none_is_not_told(text: str, told: int | None) -> None:
    data = f"<W><ConnectionsCurrent>{text}</ConnectionsCurrent><VHost/></W>".encode()
    assert read_counts(data).counters.current == told


def test_a_server_with_nothing_loaded_is_one() -> None:
    assert read_counts(b"<WowzaStreamingEngine/>") == Counts()
    assert read_counts(b"<Odd><VHost><Name>x</Name></VHost></Odd>") == Counts()


def test_control_characters_do_not_reach_a_terminal() -> None:
    (stream,) = read_counts(FLAT.replace(b"a%20b", b"%1b%5b2J")).streams
    assert stream.name == "\ufffd[2J+c.stream"


# --- refusals ------------------------------------------------------------------------------------

DOCTYPES = [
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
    b'<!DOCTYPE x SYSTEM "http://elsewhere.example/x.dtd"><x/>',
    b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
    b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x"><html/>',
]


@pytest.mark.parametrize("data", DOCTYPES)
def test_a_document_type_is_refused_where_it_begins(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="document type"):
        read_counts(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (RECORDED[:400], "cut short after 400 bytes"),
        (RECORDED[:-4], "cut short"),
        (RECORDED + b"<more/>", "malformed at line"),
        (RECORDED + b"trailing", "malformed at line"),
        (b"<a><b></a></b>", "mismatched tag"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b"not xml", "malformed"),
        (b"<html><body/></html>", "nothing that Wowza counts: its root is 'html'"),
        (b"<a/>", "nothing that Wowza counts"),
        (b"<a>" * (MAX_DEPTH + 1), "larger than is read"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "larger than is read"),
        (b"<a " + b" ".join(b"x%d=''" % i for i in range(65)) + b"/>", "larger than is read"),
        (b"<a/>" + b" " * MAX_XML, "longer than"),
    ],
)
def test_what_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told):
        read_counts(data)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "idna", "rot13", "nothing-known", "iso-8859-1"])
def test_the_declared_encoding_opens_no_door(encoding: str) -> None:
    data = RECORDED.replace(b'version="1.0"', f'version="1.0" encoding="{encoding}"'.encode())
    assert read_counts(data) == read_counts(RECORDED)
    with pytest.raises(RemoteProtocolError, match="malformed"):
        read_counts(data.replace(b"461272", b"\xe4"))


def test_a_long_text_is_cut() -> None:
    assert len(read_xml(b"<a>" + b"x" * 100_000 + b"</a>").text) == MAX_TEXT


@given(st.binary(max_size=200), st.integers(0, len(INFO)), st.integers(0, 40))
def test_any_bytes_give_counts_or_the_one_error(noise: bytes, at: int, lost: int) -> None:
    """A real document, cut and with noise in it."""
    for data in (noise, INFO[:at] + noise + INFO[at + lost :], FLAT[:at] + noise + FLAT[at + lost :]):
        try:
            found = read_counts(data)
        except RemoteProtocolError:
            continue
        assert all(each.total >= 0 for each in found.streams)
        assert all("?" not in each.uri for each in found.clients)


@given(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.booleans(), st.none()))
def test_numbers_are_finite(value: object) -> None:
    found = number(value)
    assert found is None or abs(found) <= 2.0**64 or isinstance(value, str)
    assert found is None or found - found == 0


def test_the_reader_holds_what_it_says() -> None:
    assert wowza_xml.plain("\x1b[2J\u202e\x9b") == "\ufffd[2J\ufffd\ufffd"
