"""Tokens in the names of chunklists and segments."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.wowza_token import SecureToken
from tierkit.codecs.wowza_token_name import read_name, write_name
from tierkit.errors import LocalProtocolError

QUERY = SecureToken("hunter2").sign("live/myStream", start=1, end=1_764_000_000)
MARK = f"_tk{b64encode(QUERY.encode()).decode()}"


@pytest.mark.parametrize(
    ("plain", "with_token"),
    [
        ("chunklist_w1_b764000.m3u8", f"chunklist_w1_b764000{MARK}.m3u8"),
        ("chunklist_w1_b764000_DVR.m3u8", f"chunklist_w1_b764000{MARK}_DVR.m3u8"),
        ("media_w1_b764000_slbul_26383.ts", f"media_w1_b764000_slbul{MARK}_26383.ts"),
        ("chunklist_w1_t64TWFpbg==.m3u8", f"chunklist_w1_t64TWFpbg=={MARK}.m3u8"),
        ("media_w1_b764000_26383_m3u8.cmfv", f"media_w1_b764000{MARK}_26383_m3u8.cmfv"),
        ("chunklist", f"chunklist{MARK}"),
    ],
)
def test_where_it_stands(plain: str, with_token: str) -> None:
    assert write_name(plain, QUERY) == with_token
    assert read_name(with_token) == (plain, QUERY)


def test_it_is_found_at_any_place_and_without_its_padding() -> None:
    for name in (f"chunklist{MARK}_w1_slbul.m3u8", f"chunklist_w1{MARK}_t64TWFpbg==.m3u8"):
        assert read_name(name) == (name.replace(MARK, ""), QUERY)
    query = "wowzatokenhash=ab"
    text = b64encode(query.encode()).decode()
    assert text.endswith("=")
    assert read_name(f"media_tk{text.rstrip('=')}_1.ts") == ("media_1.ts", query)


@pytest.mark.parametrize(
    "name",
    [
        "chunklist_w1.m3u8",
        "chunklist_tk.m3u8",
        "chunklist_tkabc.m3u8",
        "chunklist_tkabcde.m3u8",
        "chunklist_tk////.m3u8",
        f"chunklist_tk{b64encode('é=1'.encode()).decode()}.m3u8",
        f"chunklist_tk{b64encode(b'no query').decode()}.m3u8",
        f"chunklist_tk{b64encode(b'a=1').decode()}x\n",
        f"chunklist_tk{b64encode(b'a=' + b'1' * 4096).decode()}.m3u8",
        "stream_tktktk_1.ts",
        "",
    ],
)
def test_what_has_none_stays_as_it_is(name: str) -> None:
    assert read_name(name) == (name, "")


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (f"chunklist{MARK}.m3u8", QUERY),
        ("chunklist.m3u8", ""),
        ("chunklist.m3u8", "DVR"),
        ("chunklist.m3u8", "a=é"),
        ("chunklist.m3u8", "a=1??????"),
        ("chunklist.m3u8", "a=\ud800"),
        ("chunklist.m3u8", "a=" + "1" * 4096),
    ],
)
def test_what_cannot_stand_in_a_name_is_our_mistake(name: str, query: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot stand in a name"):
        write_name(name, query)


NAMES = st.from_regex(r"(chunklist|media)(_w[0-9]{1,9})?(_b[0-9]{1,7})?(_[0-9]{1,5}|_DVR)?\.(ts|m3u8)", fullmatch=True)
CUSTOM = st.dictionaries(st.sampled_from(["user", "id"]), st.from_regex(r"[A-Za-z0-9._:-]{0,20}", fullmatch=True))


@given(NAMES, CUSTOM)
def test_what_is_written_is_read(name: str, custom: dict[str, str]) -> None:
    query = SecureToken("hunter2").sign("live/s", end=1_764_000_000, custom=custom)
    assert read_name(write_name(name, query)) == (name, query)


@given(st.text(max_size=60), st.binary(max_size=40))
def test_any_name_is_read(name: str, noise: bytes) -> None:
    for each in (name, f"media_tk{name}.ts", f"media_tk{b64encode(noise).decode()}_1.ts"):
        plain, query = read_name(each)
        assert (plain == each) is (query == "")
