"""Session ids in paths, taken out in linear time."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.path_rule import PathRule, path_problem
from tierkit.errors import LocalProtocolError

WOWZA = (r"_w\d+", "")
JAVA = (r";jsessionid=[^/;]*", "")
FOLDER = (r"^/s-[0-9a-f]{8,64}/", "/")


@pytest.mark.parametrize(
    ("rule", "path", "key"),
    [
        (WOWZA, "/live/s/chunklist_w4135965.m3u8", "/live/s/chunklist.m3u8"),
        (WOWZA, "/live/s/media_w4135965_2140.ts?a=_w1", "/live/s/media_2140.ts?a=_w1"),
        (WOWZA, "/live/s/chunklist%5Fw41%33.m3u8", "/live/s/chunklist.m3u8"),
        (WOWZA, "/live/_wide/x_w.ts", "/live/_wide/x_w.ts"),
        (JAVA, "/a;jsessionid=1A2B/b;jsessionid=3;v=1", "/a/b;v=1"),
        (FOLDER, "/s-0123456789abcdef/live/x.ts", "/live/x.ts"),
        (FOLDER, "/live/s-0123456789abcdef/x.ts", "/live/s-0123456789abcdef/x.ts"),
        ((r"_b\d{1,8}(\.m3u8)$", r"_b0\1"), "/x_b99.m3u8", "/x_b0.m3u8"),
        ((r"/~[^/]+/", "/"), "/~abc/x", "/x"),
        ((r"-[\w\-]?\.ts", ".ts"), "/x-1.ts", "/x.ts"),
    ],
)
def test_what_makes_no_difference_goes(rule: tuple[str, str], path: str, key: str) -> None:
    assert PathRule([rule]).canonical(path) == key


def test_rules_work_in_order() -> None:
    assert PathRule([WOWZA, ("/media", "/m")]).canonical("/media_w1.ts") == "/m.ts"


def test_what_is_encoded_for_a_reason_stays_encoded() -> None:
    path = "/a%2Fb%2e%2E/%25/%C3%A9%3b%00x"
    assert PathRule([WOWZA]).canonical(path) == path


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "1 to 200"),
        ("x" * 201, "1 to 200"),
        (r"(\d+)+", "not repeated"),
        (r"((a)b)", "within each other"),
        (r"(a", "open"),
        (r"a)", "within each other"),
        (r"a|b", "no part of a pattern"),
        (r"(?=a)b", "groups stand alone"),
        (r"a\b", "no part of a pattern"),
        (r"\1", "no part of a pattern"),
        (r"a++b", "no part of a pattern"),
        (r"a{3,1}", "from more to less"),
        (r"a{9999}", "from more to less"),
        (r"\d*", "matches nothing"),
        (r"x\d+7", "7 may go on where"),
        (r"x.*y", "y may go on where"),
        (r"x\d+a?7", "7 may go on where"),
        (r"x\d+\w+", "may go on where"),
        (r"\d+_", "runs over what the pattern begins with"),
        (r"a?x[ab]+c", "runs over what the pattern begins with"),
        (r"x{1000}", "runs over what the pattern begins with"),
        (r"x[x\d]{1,900}y", "runs over what the pattern begins with"),
        (r"_\w+$", "runs over what the pattern begins with"),
        (r"x[^!-~]", "no character"),
        (r"[\d-x]", "range from a class"),
        ("é", "no part of a pattern"),
    ],
)
def test_what_may_be_slow_or_is_not_understood_is_refused(pattern: str, reason: str) -> None:
    assert reason in path_problem(pattern, "")
    assert "\n" not in path_problem(pattern, "")
    with pytest.raises(LocalProtocolError, match=re.escape(reason)):
        PathRule([(pattern, "")])


@pytest.mark.parametrize("replacement", ["?", "#", "a b", "\\2", "\\g<1>", "\r\n", "é", "x" * 201])
def test_a_replacement_stays_in_the_path(replacement: str) -> None:
    assert "cannot stand in a path" in path_problem("(a)", replacement)


@pytest.mark.timeout(5)
def test_no_rule_is_slow_on_what_strangers_send() -> None:
    rule = PathRule([WOWZA, JAVA, (r"_\d+\.ts", ""), (r"x[0-9]{1,1000}y", "")])
    for hostile in ("/" + "_w" * 50_000, "/_" + "1" * 100_000, ";jsessionid=" * 9_000, "x1" * 50_000, "%5F" * 30_000):
        rule.canonical(hostile)


def test_rules_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(PathRule([WOWZA]))).canonical("/a_w1") == "/a"


ATOMS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", r"\d", "[ab]", "[^a]", r"\w", ".", r"\."]),
        st.sampled_from(["", "", "+", "*", "?", "{2}", "{1,2}", "{1,}"]),
    ).map("".join),
    min_size=1,
    max_size=4,
).map("".join)


@given(st.sampled_from(["", "^"]), ATOMS, st.sampled_from(["", "$"]), st.text("ab1.", max_size=8))
def test_it_means_what_it_means_to_python(start: str, atoms: str, end: str, path: str) -> None:
    pattern = start + atoms + end
    if not path_problem(pattern, "-"):
        assert PathRule([(pattern, "-")]).canonical(path) == re.sub(pattern, "-", path)


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_pattern_is_taken_or_told(pattern: str, replacement: str) -> None:
    if not path_problem(pattern, replacement):
        PathRule([(pattern, replacement)]).canonical("/live/s/x.ts")
