"""The grammar of what Wowza calls a stream's children (facts, sections 1a and 1b)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.wowza_names import Ids, canonical, filled, ids_of, is_child, kept_query, named, pattern

TOKEN = "_tkd293emF0b2tlbmVuZHRpbWU9MTUwMDAwMDAwMA=="
#: As recorded, and the same without what is a viewer's.
RECORDED = [
    ("chunklist_w929118404.m3u8", "chunklist.m3u8", Ids("_w929118404")),
    ("media_w929118404_87665.ts", "media_87665.ts", Ids("_w929118404")),
    ("chunklist_w4135965.m3u8", "chunklist.m3u8", Ids("_w4135965")),
    ("chunklist_w1_b764000_slbul.m3u8", "chunklist_b764000_slbul.m3u8", Ids("_w1")),
    ("chunklist_b764000_slbul.m3u8", "chunklist_b764000_slbul.m3u8", Ids()),
    ("media_b764000_slbul_26383.ts", "media_b764000_slbul_26383.ts", Ids()),
    ("chunklist_w7_b800000_vo_sfm4s_t64TWFpbg==.m3u8", "chunklist_b800000_vo_sfm4s_t64TWFpbg==.m3u8", Ids("_w7")),
    (f"chunklist_w7_b800000{TOKEN}.m3u8", "chunklist_b800000.m3u8", Ids("_w7", TOKEN)),
    (f"media_w7_b800000{TOKEN}_12.ts", "media_b800000_12.ts", Ids("_w7", TOKEN)),
    (f"chunklist_w7{TOKEN}_DVR.m3u8", "chunklist_DVR.m3u8", Ids("_w7", TOKEN)),
    ("media_w7_b800000_12_m3u8.cmfv", "media_b800000_12_m3u8.cmfv", Ids("_w7")),
    ("header_w7_b800000_m3u8.cmfv", "header_b800000_m3u8.cmfv", Ids("_w7")),
    ("chunklist_DVR.m3u8", "chunklist_DVR.m3u8", Ids()),
    ("chunklist-b1089536.m3u8", "chunklist-b1089536.m3u8", Ids()),
]


@pytest.mark.parametrize(("file", "plain", "ids"), RECORDED)
def test_a_recorded_name_is_split_and_put_together_again(file: str, plain: str, ids: Ids) -> None:
    assert canonical(file) == plain
    assert ids_of(file) == ids
    assert named(plain, ids) == file


@pytest.mark.parametrize("file", ["playlist.m3u8", "foo_w12.m3u8", "w_w1_.ts", "manifest_w5.mpd", "mediaX_w5.ts", ""])
def test_what_is_no_child_of_wowzas_stays(file: str) -> None:
    assert canonical(file) == file
    assert ids_of(file, "wowzasessionid=3") == Ids()
    assert named(file, Ids("_w1")) == file


def test_older_servers_have_the_id_in_the_query() -> None:
    found = ids_of("media_4405.ts", "wowzasessionid=540052745")
    assert found == Ids(query="wowzasessionid=540052745")
    assert bool(found)
    assert not Ids()


def test_a_segment_has_a_pattern() -> None:
    assert pattern("media_w7_b800000_12.ts") == ("media_w7_b800000_#.ts", "12")
    assert pattern("media_w7_12_m3u8.cmfv") == ("media_w7_#_m3u8.cmfv", "12")
    assert pattern("chunklist_b800000.m3u8") == ("chunklist_b800000.m3u8", "")
    assert filled("media_w8_#.ts", "12") == "media_w8_12.ts"
    assert filled("chunklist.m3u8", "") == "chunklist.m3u8"


def test_of_a_query_what_names_the_object_is_kept() -> None:
    assert kept_query("a=1&DVR&nc=0.39&_HLS_msn=3&_HLS_part=1", ("DVR",)) == "DVR&_HLS_msn=3&_HLS_part=1"
    assert kept_query("DVR=", ("DVR",)) == "DVR="
    assert kept_query("", ("DVR",)) == ""
    assert kept_query("XDVR&DVRX=1", ("DVR",)) == ""


PARTS = st.lists(
    st.sampled_from(["_b500000", "_vo", "_ao", "_sleng", "_t64TWFpbg==", "_sfm4s", "_DVR"]), unique=True, max_size=5
)


@given(
    st.sampled_from(["chunklist", "media", "header"]),
    PARTS,
    st.integers(0, 2**31 - 1),
    st.booleans(),
    st.one_of(st.just(""), st.integers(0, 10**9).map(lambda n: f"_{n}")),
    st.integers(0, 5),
)
def test_whatever_the_order_the_viewers_parts_are_found(
    head: str, parts: list[str], session: int, token: bool, number: str, place: int
) -> None:
    own = [*parts]
    own.insert(min(place, len(own)), f"_w{session}")
    if token:
        own.insert(min(place, len(own)), TOKEN)
    end = ".m3u8" if head == "chunklist" else f"{number}.ts"
    file = head + "".join(own) + end
    plain = head + "".join(parts) + end
    assert canonical(file) == plain
    assert ids_of(file) == Ids(f"_w{session}", TOKEN if token else "")
    assert canonical(named(plain, ids_of(file))) == plain
    of, found = pattern(file)
    assert filled(of, found) == file


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_taken(file: str, query: str) -> None:
    plain = canonical(file)
    assert canonical(plain) == plain or len(re.findall(r"_w[0-9]|_tk", file)) > 1
    assert is_child(plain) == is_child(file)
    of, number = pattern(file)
    assert filled(of, number) == file or "#" in file
    kept_query(query, ("DVR",))
    named(plain, ids_of(file, query))
