"""What players say of themselves: read where it is meant, left out where it is not."""

from __future__ import annotations

import pickle
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import cmcd
from tierkit.codecs.cmcd import LONGEST, MOST_KEYS, Cmcd, from_fields, from_query

SID = "6e2fb550-c457-11e9-bb97-0800200c9a66"


def said(text: str) -> Cmcd:
    found = from_query("CMCD=" + quote(text, safe=""))
    assert found is not None
    return found


def test_the_query_of_the_standards_example() -> None:
    query = f"CMCD=br%3D3200%2Cbs%2Cd%3D4004%2Cmtp%3D25400%2Cot%3Dv%2Crtp%3D15000%2Csid%3D%22{SID}%22%2Ctb%3D6000"
    expected = Cmcd(br=3200, bs=True, d=4004, mtp=25400, ot="v", rtp=15000, sid=SID, tb=6000)
    assert from_query(query) == expected
    assert from_query(f"a=1&%43MCD={query[5:]}&CMCD=br%3D1") == expected


def test_the_fields_of_the_standards_example() -> None:
    found = from_fields(
        [
            (b"host", b"edge.example"),
            (b"cmcd-request", b"mtp=25400"),
            (b"cmcd-object", b"br=3200,d=4004,ot=v,tb=6000"),
            (b"cmcd-status", b"bs,rtp=15000"),
            (b"cmcd-session", f'sid="{SID}"'.encode()),
        ]
    )
    assert found == Cmcd(br=3200, bs=True, d=4004, mtp=25400, ot="v", rtp=15000, sid=SID, tb=6000)


def test_a_plus_in_a_query_is_a_plus() -> None:
    assert from_query("CMCD=sid%3D%22a+b%22") == Cmcd(sid="a+b")


def test_where_nothing_is_said() -> None:
    for query in ("", "a=1", "XCMCD=br%3D1", "cmcd=br%3D1", "a=CMCD", "%"):
        assert from_query(query) is None
    assert from_fields([(b"host", b"x"), (b"cmcd", b"br=1")]) is None
    assert from_query("CMCD=") == from_query("CMCD") == from_fields([(b"cmcd-status", b"")]) == Cmcd()


def test_everything_an_edge_may_use() -> None:
    text = (
        'bl=21300,br=3200,bs,cid="faec5fc2",d=4004,dl=18500,mtp=48100,nor="..%2F300kbps%2Fx.m4v",nrr="12323-48763",'
        'ot=av,pr=1.08,rtp=12000,sf=h,sid="s",st=l,su,tb=6000,v=2'
    )
    assert said(text) == Cmcd(
        bl=21300, br=3200, bs=True, cid="faec5fc2", d=4004, dl=18500, mtp=48100, nor="..%2F300kbps%2Fx.m4v",
        nrr=(12323, 48763), ot="av", pr=1.08, rtp=12000, sf="h", sid="s", st="l", su=True, tb=6000, v=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" br=1 ,\tbl=2 ", {"br": 1, "bl": 2}),
        ('cid="a\\"b\\\\c,d=e"', {"cid": 'a"b\\c,d=e'}),
        ("bs=false,su=true", {"su": True}),
        ("bs=?0,su=?1", {"su": True}),
        ("sid=word", {"sid": "word"}),
        ('sid="a+b"', {"sid": "a+b"}),
        ('sid="é"', {"sid": "é"}),
        ("br=1,br=2", {"br": 1}),
        ('com.example-a=1,com.example-b="x,y",c-d', {"custom": 3}),
        ('nrr="5-"', {"nrr": (5, None)}),
        ('nrr="-5"', {"nrr": (None, 5)}),
    ],
)
def test_spellings_that_are_meant(text: str, expected: dict[str, Any]) -> None:
    assert said(text) == Cmcd(**expected)


@pytest.mark.parametrize(
    "text",
    [
        "br", "br=", "br=-1", "br=+1", "br=1_0", "br=٣", "br=1.5", "br=1e3", "br=1234567890123", 'br="1"', "br=(1 2)",
        "pr=1.", "pr=.5", "pr=inf", "pr=nan",
        "ot=x", "ot=V", 'ot="v"', "sf=hls", "st=live",
        "sid", 'sid=""', 'sid="' + "x" * 65 + '"', 'sid="a\x00b"', 'sid="a\nb"', 'sid="\x9b"',
        'sid="a', 'sid="a"b', 'sid="\\a"',
        "bs=1", 'bs="true"', 'su=""',
        'nrr="-"', 'nrr="9-8"', 'nrr="a-b"', 'nrr="1"', 'nor="' + "x" * 1025 + '"',
        "=1", "é=1", "a" * 65 + "=1", "br =1", "1a=1",
    ],
)  # fmt: skip
def test_what_is_not_meant_is_left_out_and_counted(text: str) -> None:
    assert said(text) == Cmcd(invalid=1)
    # What stands beside it is read all the same.
    beside = said(f"tb=7,{text},su")
    assert beside.tb == 7
    assert beside.invalid >= 1


def test_a_field_that_is_broken_off_does_no_harm_to_the_next() -> None:
    found = from_fields([(b"cmcd-session", b'sid="x'), (b"cmcd-status", b"bs"), (b"cmcd-object", b'"br=\xff')])
    assert found == Cmcd(bs=True, invalid=2)


def test_the_length_is_bounded() -> None:
    found = said("su," + " " * LONGEST + ",bs")
    assert (found.su, found.bs, found.invalid > 0) == (True, False, True)
    long = from_fields([(b"cmcd-status", b"bs," + b"x" * 100_000)])
    assert long is not None
    assert (long.bs, long.invalid) == (True, 2)


def test_the_number_of_keys_is_bounded() -> None:
    found = said(",".join(f"a-{n}" for n in range(MOST_KEYS)) + ",br=1")
    assert (found.custom, found.br, found.invalid) == (MOST_KEYS, None, 1)
    many = from_fields([(b"cmcd-status", b"a-b"), (b"cmcd-status", b"a," * 100), (b"cmcd-status", b"br=1")])
    assert many is not None
    assert (many.custom, many.br) == (MOST_KEYS, None)


BASE = "/live/s/500kbps/seg_34.m4v"


@pytest.mark.parametrize(
    ("nor", "path"),
    [
        ("..%2F300kbps%2Fseg_35.m4v", "/live/s/300kbps/seg_35.m4v"),
        ("seg_35.m4v", "/live/s/500kbps/seg_35.m4v"),
        ("seg_35.m4v%3Fa%3Db", "/live/s/500kbps/seg_35.m4v?a=b"),
        ("%2Flive%2Fx.ts", "/live/x.ts"),
        ("a%2520b.ts", "/live/s/500kbps/a%20b.ts"),
        ("a b.ts", "/live/s/500kbps/a%20b.ts"),
        ("..%2F..%2F..%2F..%2F..%2Fx.ts", "/x.ts"),
        ("", ""),
        ("http%3A%2F%2Fevil.example%2Fx", ""),
        ("%2F%2Fevil.example%2Fx", ""),
        ("%2F%2F%2Fevil.example", ""),
        ("%5C%5Cevil.example%5Cx", ""),
        ("http%3Ax", ""),
        ("javascript%3Ax", ""),
        ("x%0D%0AHost%3A evil", ""),
        ("x%00", ""),
        ("..%252F..%252Fx", ""),
        ("a%2F..%3B%2Fx", ""),
    ],
)
def test_what_comes_next_is_a_path_here_or_nothing(nor: str, path: str) -> None:
    assert said(f'nor="{nor}"' if nor else "").next_path(BASE) == path


def test_a_range_alone_is_one_of_the_same_object() -> None:
    found = said('nrr="10-19"')
    assert (found.next_path(BASE), found.nrr) == (BASE, (10, 19))


def test_it_is_a_value() -> None:
    found = said('sid="x",br=1')
    assert pickle.loads(pickle.dumps(found)) == found
    assert len({found, said('br=1,sid="x"')}) == 1


TEXTS = st.text('abcdefxyz019,="\\ .-%é', max_size=40)


@given(st.binary(max_size=80), st.text(max_size=80), st.sampled_from(cmcd.FIELDS))
def test_anything_can_be_read(value: bytes, query: str, name: bytes) -> None:
    told = from_fields([(name, value)])
    assert told is not None
    from_query(query)
    for found in (told, from_query("CMCD=" + query.replace("&", ""))):
        assert found is not None
        path = found.next_path("/a/b")
        assert path == "" or (path.startswith("/") and not path.startswith("//"))


@given(st.builds(
    Cmcd,
    sid=st.text(st.characters(categories=("L", "N", "P")), max_size=64),
    cid=st.text(st.characters(categories=("L", "P")), max_size=64),
    br=st.none() | st.integers(0, 10**12 - 1),
    bl=st.none() | st.integers(0, 10**6),
    bs=st.booleans(), su=st.booleans(),
    ot=st.sampled_from(["", "m", "a", "v", "av", "i", "c", "tt", "k", "o"]),
    nor=st.sampled_from(["", "a.ts", "..%2Fa%20b.ts"]),
))  # fmt: skip
def test_what_a_player_says_is_what_is_read(meant: Cmcd) -> None:
    plain = {key: getattr(meant, key) for key in ("br", "bl", "ot")}
    parts = [f"{key}={value}" for key, value in plain.items() if value not in (None, "")]
    for key in ("sid", "cid", "nor"):
        if value := getattr(meant, key):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{key}="{escaped}"')
    parts += [key for key in ("bs", "su") if getattr(meant, key)]
    assert said(",".join(parts)) == meant
    told = from_fields([(b"cmcd-request", ",".join(parts).encode())])
    assert told == meant


@given(TEXTS, TEXTS)
def test_what_is_in_front_and_in_quotes_does_not_leak(before: str, inside: str) -> None:
    escaped = inside.replace("\\", "\\\\").replace('"', '\\"')
    found = said(f'com.example-a="{escaped}",br=5')
    assert (found.br, found.custom, found.invalid) == (5, 1, 0)
    assert isinstance(said(before), Cmcd)
