"""What of a query makes the key, and what goes upstream."""

from __future__ import annotations

import fnmatch
import pickle
from urllib.parse import parse_qs, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import query as module
from tierkit.codecs.query import MAX_PARAMETERS, QueryRule, pattern_problem, values
from tierkit.errors import RemoteProtocolError

RULE = QueryRule(("token", "CMCD", "utm_*", "*_session"))
CMCD = "CMCD=bl%3D21300%2Csid%3D%226e2fb550%22"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("token=a", ""),
        ("token", ""),
        ("token=", ""),
        ("a=b&token=x", "a=b"),
        ("token=x&a=b", "a=b"),
        ("a=1&token=x&b=2", "a=1&b=2"),
        ("token=x&token=y&a=1&token=z", "a=1"),
        ("tokens=x&xtoken=x&Token=x", "tokens=x&xtoken=x&Token=x"),
        ("a=token=x", "a=token=x"),
        ("utm_source=a&utm_=b&utm=c", "utm=c"),
        ("wowza_session=1&session=2", "session=2"),
        ("=x&token=y", "=x"),
        ("+token=x&token+=y", "+token=x&token+=y"),
        (f"{CMCD}&_HLS_msn=3", "_HLS_msn=3"),
    ],
)
def test_what_makes_the_key(query: str, kept: str) -> None:
    assert RULE.kept(query.encode()) == kept.encode()


def test_a_name_is_read_as_the_origin_reads_it() -> None:
    assert RULE.kept(b"%74oken=x&a=%26b") == b"a=%26b"
    assert RULE.kept(b"utm%5fx=1&%63=1&tok%65n") == b"%63=1"
    assert RULE.kept(b"%2574oken=x&%zz=1&%") == b"%2574oken=x&%zz=1&%"
    assert QueryRule(("*",)).kept(b"%26=1&%3D&%=1") == b""


def test_a_semicolon_separates_nothing() -> None:
    assert RULE.kept(b"a=1;token=2&token=3;b=4") == b"a=1;token=2"


def test_doubles_are_kept_in_their_order() -> None:
    assert RULE.kept(b"b=2&a=1&b=1&token=x&b=2") == b"b=2&a=1&b=1&b=2"


def test_empty_parameters_go() -> None:
    assert RULE.kept(b"&&a=1&&b=2&&") == b"a=1&b=2"
    assert RULE.kept(b"&%61=1&&b=2&") == b"%61=1&b=2"


def test_delivery_directives_are_never_taken_out() -> None:
    for patterns in (("*",), ("_HLS_*",), ("*msn",)):
        assert QueryRule(patterns).kept(b"_HLS_msn=3&%5FHLS_part=1") == b"_HLS_msn=3&%5FHLS_part=1"


def test_sorted_by_name_doubles_as_they_came() -> None:
    rule = QueryRule(("token",), sort=True)
    assert rule.kept(b"b=2&token=x&a=3&b=1&%61=2") == b"a=3&%61=2&b=2&b=1"
    assert rule.kept(b"b=1&a=2") == rule.kept(b"a=2&b=1") == b"a=2&b=1"


def test_upstream_sees_what_it_may() -> None:
    query = b"b=1&token=x&CMCD=y&&a=2"
    assert QueryRule(("CMCD",), drop=("token",)).split(query) == (b"b=1&a=2", b"b=1&a=2")
    assert QueryRule(("CMCD",), drop=("token",), forward=True).split(query) == (b"b=1&a=2", b"b=1&CMCD=y&a=2")
    assert QueryRule(("CMCD", "token"), forward=True, sort=True).split(query) == (b"a=2&b=1", query)
    assert QueryRule((), sort=True).split(query)[0] == b"CMCD=y&a=2&b=1&token=x"


def test_a_token_that_is_ours_is_not_passed_on_by_another_spelling() -> None:
    rule = QueryRule((), drop=("token",), forward=True)
    assert rule.forwarded(b"%74oken=x&tok%65n=y&a=1") == b"a=1"


def test_the_number_of_parameters_is_bounded() -> None:
    many = b"&".join([b"%61=1"] * MAX_PARAMETERS)
    assert RULE.split(many + b"") == (many, many)
    with pytest.raises(RemoteProtocolError, match="more than 100 parameters") as caught:
        RULE.split(many + b"&b")
    assert caught.value.hint == 400
    # What answers what is at hand has no errors: there it stays as it is.
    assert RULE.kept(many + b"&token=x") == many + b"&token=x"
    backwards = b"&".join(b"%d=1" % n for n in range(300, 100, -1))
    assert QueryRule((), sort=True).kept(backwards) == backwards


def test_a_target_keeps_its_path() -> None:
    assert RULE.canonical(b"/a/token=x?token=y") == b"/a/token=x"
    assert RULE.canonical(b"/a?b=c&token=y") == b"/a?b=c"
    assert RULE.canonical(b"/a?") == b"/a"


@pytest.mark.parametrize("pattern", ["", "a b", "a&b", "a=b", "(a+)+", "x" * 101, "é", "a\\d", "a?"])
def test_odd_patterns_are_told(pattern: str) -> None:
    assert "query parameter" in pattern_problem(pattern)


def test_a_rule_can_be_sent_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(QueryRule(("a*",), drop=("t",), forward=True)))
    assert again.split(b"t=1&ab=2&c=3") == (b"c=3", b"ab=2&c=3")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", ["*a*a*a*a*b", "*x*y", "a*a*a*a", "*aaaa*aaaa*b", "*********b"])
def test_no_pattern_is_slow_on_what_strangers_send(pattern: str) -> None:
    # Tried again and again, the first of these takes longer than the universe has been there.
    rule = QueryRule((pattern,))
    hostile = b"a" * 8000 + b"c"
    assert rule.kept(hostile) == hostile
    assert rule.kept(b"%63" + hostile) == b"%63" + hostile


# --- any query -----------------------------------------------------------------------------------

NAMES = [b"token", b"%74oken", b"a", b"utm_x", b"b", b"%61", b"", b"x_session", b"tok%65n", b"_HLS_msn", b"a%26"]
PAIRS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([b"", b"=", b"=1", b"=%26", b"==", b"=token", b"=;token=1"])),
    max_size=8,
)
RULES = st.builds(
    QueryRule,
    st.sampled_from([("token", "utm_*", "*_session"), ("*",), ("t*n", "a"), ()]),
    drop=st.sampled_from([(), ("token",), ("b", "a*")]),
    forward=st.booleans(),
    sort=st.booleans(),
)


def joined(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"&".join(name + value for name, value in pairs)


def named(name: bytes, patterns: tuple[str, ...]) -> bool:
    plain = unquote_to_bytes(name).decode("latin-1")
    return not plain.startswith("_HLS_") and any(fnmatch.fnmatchcase(plain, each) for each in patterns)


@given(PAIRS, RULES)
def test_nothing_else_is_lost_and_nothing_named_is_kept(pairs: list[tuple[bytes, bytes]], rule: QueryRule) -> None:
    expected = [n + v for n, v in pairs if n + v and not named(n, rule.patterns + rule.drop)]
    kept = list(filter(None, rule.kept(joined(pairs)).split(b"&")))
    assert (sorted(kept) if rule.sort else kept) == (sorted(expected) if rule.sort else expected)


@given(PAIRS, RULES)
def test_the_key_is_part_of_what_goes_upstream_and_that_of_what_came(
    pairs: list[tuple[bytes, bytes]], rule: QueryRule
) -> None:
    def within(part: bytes, whole: bytes) -> bool:
        rest = iter(whole.split(b"&"))
        return all(pair in rest for pair in filter(None, part.split(b"&")))

    query = joined(pairs)
    plain = QueryRule(rule.patterns, drop=rule.drop, forward=rule.forward)
    kept, forwarded = plain.split(query)
    assert within(kept, forwarded)
    assert within(forwarded, query)
    assert not any(named(pair.partition(b"=")[0], rule.drop) for pair in filter(None, forwarded.split(b"&")))


@given(st.binary(max_size=60) | PAIRS.map(joined), RULES)
def test_what_is_split_stays_split(query: bytes, rule: QueryRule) -> None:
    kept, forwarded = rule.split(query)
    assert rule.kept(kept) == kept
    assert rule.forwarded(forwarded) == forwarded
    assert rule.kept(forwarded) == kept


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=10))
def test_a_star_is_what_it_is_to_a_shell(pattern: str, name: str) -> None:
    taken = QueryRule((pattern,)).kept(name.encode() + b"=1&_HLS_") == b"_HLS_"
    assert taken is fnmatch.fnmatchcase(name, pattern)
    assert (module._Taken((pattern,)).name.match(name.encode()) is not None) is taken


# --- values --------------------------------------------------------------------------------------


def test_the_first_value_of_a_parameter_counts() -> None:
    query = "a=1&%74oken=x%2By+z&token=2&md5&expires=%ff"
    assert values(query, ("token", "md5", "expires", "none")) == {"token": "x+y z", "md5": "", "expires": "\ufffd"}


def test_values_are_looked_for_among_so_many() -> None:
    assert values("a&" * (MAX_PARAMETERS - 1) + "token=x", ("token",)) == {"token": "x"}
    assert values("a&" * MAX_PARAMETERS + "token=x", ("token",)) == {}


@given(st.text("ab=&%+41;", max_size=30), st.sampled_from(["a", "b", "A"]))
def test_values_are_those_of_the_standard_library(query: str, name: str) -> None:
    told = parse_qs(query, keep_blank_values=True).get(name, [""])[0]
    assert values(query, (name,)).get(name, "") == told
