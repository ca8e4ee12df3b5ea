"""A report from a recorded history: the figures, to the digit, and all its forms."""

from __future__ import annotations

import json
import struct
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import GRNET_2013, Report, TierkitError, report

from .nights import history

#: Elements of HTML that have no end.
VOID = {"meta", "br", "hr", "img", "input", "link"}


def night(**more: Any) -> Report:
    return report(history(), **{"title": "Sitting", "peak_over": 30.0, **more})


def beside(of: Report) -> dict[str, str]:
    """The rows of a report's comparison, this night's side, as its page has them."""
    from tierkit._report_figures import rows

    return {name: mine for name, _, mine in rows(of)}


def test_the_peak_is_the_mean_of_the_best_stretch() -> None:
    peak, first = night().peak
    assert (peak, first) == (2.4e9, 4)  # 900 + 800 + 700, three times
    # What is not known counts as nothing: a longer stretch cannot be better than what was seen.
    assert night(peak_over=1000.0).peak == (pytest.approx((0.4 + 2.1 + 3 * 2.4 + 0.9) / 10 * 1e9), 0)
    assert night(peak_over=1.0).peak == (2.4e9, 4)


def test_a_peak_that_is_known_is_not_looked_for() -> None:
    known = night(peak_from=1_384_106_400 + 62.0)  # the points that begin at 60, 70 and 80 s
    assert known.peak == (pytest.approx((2.4e9 + 0.9e9) / 3), 6)
    assert "the mean of the 30 s that it lasted" in known.html()
    assert night(peak_from=0.0).peak[1] == 0
    assert night(peak_from=2e9).peak[1] == 7


def test_golden_figures() -> None:
    found = beside(night(origin_clients=3, stalled_viewers=0, stalls=0))
    assert found == {
        "viewers": "4,800",
        "peak traffic": "2.40 Gbit/s, over 30 s",
        "for each viewer": "500 kbit/s, at the peak",
        "viewers that stalled": "0",
        "clients that the origin saw": "3",
        "memory of an HLS tier": "edge-a1: 120 MB for 900 Mbit/s",
        "memory of an RTMP tier": "relay-a: 120 MB for 700 Mbit/s",
        "memory of all tiers": "360 MB",
        "Wowza by itself": "",
    }


def test_what_nobody_knows_is_not_made_up() -> None:
    found = beside(night())
    assert found["clients that the origin saw"] == "not known"
    assert found["viewers that stalled"] == "6 inferred by the tiers"
    bare = history()
    for tier in bare["tiers"].values():
        for figure in ("chopped", "cpu", "memory", "viewers"):
            del tier[figure]
    found = beside(report(bare))
    assert found["viewers that stalled"] == found["memory of an HLS tier"] == found["for each viewer"] == "not known"


def test_an_origin_of_the_graph_is_no_audience() -> None:
    told = history()
    told["tiers"]["studio"] = {**told["tiers"]["edge-a1"], "role": "origin"}
    assert beside(report(told))["viewers"] == "4,800"


def test_the_text_has_all_of_it() -> None:
    text = night(conditions={"machine": "two cores"}, broken=["a viewer stalled"]).text()
    lines = [line.split() for line in text.splitlines()]
    assert text.startswith("Sitting\n2013-11-10 18:00:00 UTC, 100 s\n")
    assert ["hls", "at", "most", "1.70", "Gbit/s"] in [
        [each for each in line if each[0] not in "▁▂▃▄▅▆▇█"] for line in lines
    ]
    tier = ["edge-a1", "dc-a", "edge", "900", "Mbit/s", "1,800", "99.90%", "0.30", "core", "13.0", "s", "120", "MB"]
    assert tier in lines
    assert "3.55 Gbit/s" in text
    assert text.index("two cores") < text.index("a viewer stalled")
    assert "GRNET" not in night(beside={}).text()
    assert "5,200" in night(beside={"night": "last year", "viewers": "5,200", "weather": "rain"}).text()


class Page(HTMLParser):
    """What is in a page; fails on one whose elements do not fit in each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not (self.get_starttag_text() or "").endswith("/>") or (self.open and self.open[-1] == tag):
            assert self.open, f"</{tag}> ends nothing"
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append((self.open[-1] if self.open else "", data))


def test_the_page_stands_alone_and_is_sound() -> None:
    page = Page(night(conditions={"machine": "two cores"}, broken=["a viewer stalled"]).html())
    assert len(page.ids) == len(set(page.ids))
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "img", "iframe", "object")
        assert not {"src", "href", "srcset", "style", "onload"} & attributes.keys()
    assert "url(" not in "".join(words for tag, words in page.words if tag == "style")
    assert ("html", {"lang": "en"}) in page.elements


def test_its_graphs_can_be_read_without_eyes() -> None:
    page = Page(night().html())
    graphs = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(graphs) == 4  # two of them, for a desk and for a phone
    for graph in graphs:
        assert graph["role"] == "img"
        assert set(str(graph["aria-labelledby"]).split()) <= set(page.ids)
    described = [words for tag, words in page.words if tag == "desc"]
    assert "hls at most 1.70 Gbit/s" in described[0]
    assert "dc-b at most 800 Mbit/s" in described[2]
    # Beside each graph the same in a table, and each head of it says what it is the head of.
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")


def test_the_areas_are_as_high_as_the_traffic() -> None:
    """Of the wide graph by type: 300 pixels less the axes' 54 are 2.5 Gbit/s."""
    html = night().html()
    graph = html[html.index('<svg class="wide"') :]
    path = graph[graph.index('class="s0" d="M') + 15 :]
    points = [tuple(map(float, each.split(","))) for each in path[: path.index("Z")].split("L")]
    roof = points[: len(points) // 2]
    heights = {round(x): (272 - y) * 2.5e9 / 246 for x, y in roof}
    assert max(heights.values()) == pytest.approx(0.3e9, rel=0.01)  # up to the third column, of which nothing is known
    assert min(heights.values()) == pytest.approx(0, abs=1e7)
    rest = [tuple(map(float, each.split(","))) for each in path[path.index("Z") + 2 : path.index('"') - 1].split("L")]
    assert min(x for x, _ in rest) == pytest.approx(58 + 3 * 68.8, abs=0.2)
    assert max((272 - y) * 2.5e9 / 246 for _, y in rest) == pytest.approx(1.7e9, rel=0.01)


def test_words_from_elsewhere_are_words() -> None:
    told = history()
    told["type"] = {"<script>alert(1)</script>": told["type"]["hls"]}
    told["tiers"]["<b>"] = {**told["tiers"].pop("edge-a1"), "site": "<i>", "role": "<u>"}
    html = report(told, title="<h1>", conditions={"<a>": "<p>"}, beside={"night": '"><x>', "viewers": "<y>"}).html()
    Page(html)
    for word in ("<script", "<b>", "<i>", "<u>", "<a>", "<x>", "<y>"):
        assert word not in html


def test_a_picture() -> None:
    pytest.importorskip("matplotlib")
    png = night().png()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1600, 1440)


def test_a_picture_without_matplotlib_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(TierkitError, match=r"a PNG needs matplotlib.*pip install 'tierkit\[report\]'"):
        night().png()


def test_json_and_back() -> None:
    first = night(origin_clients=4, stalled_viewers=2, stalls=3, conditions={"a": "b"}, broken=["c"], peak_from=1.4e9)
    again = report(json.loads(json.dumps(first.as_dict())))
    assert again == first
    assert again.text() == first.text()
    assert dict(again.beside) == GRNET_2013


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"points": 0}, "'points' is 0"),
        ({"points": 9}, "no list of 9 values"),
        ({"points": 10**9}, "from 1 to 90000"),
        ({"step": 0}, "'step' is 0"),
        ({"step": "10"}, "'step' is no number"),
        ({"from": float("nan")}, "'from' is no number"),
        ({"type": []}, "'type' is no object"),
        ({"site": {"dc-a": 3}}, "site dc-a is no list"),
        ({"tiers": {"edge": None}}, "tier 'edge' is no object"),
        ({"tiers": {str(n): {} for n in range(1001)}}, "at most 1000 names"),
    ],
)
def test_what_is_no_history_is_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(TierkitError, match=said) as caught:
        report(history() | change)
    assert "\n" not in str(caught.value)


def test_odd_values_are_unknown() -> None:
    told = history()
    told["type"]["hls"][4:8] = [float("nan"), float("inf"), "many", True]
    told["type"]["hls"][8] = -5
    values = next(each for each in report(told).by_type if each.name == "hls").values
    assert values[4:9] == (None, None, None, None, 0.0)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["from", "step", "points", "type", "site", "tiers", "history"]), ANYTHING))
def test_any_json_makes_a_report_or_an_error(told: dict[str, Any]) -> None:
    try:
        made = report(history() | told)
    except TierkitError:
        return
    Page(made.html())
    made.text()


@given(st.floats(min_value=0, max_value=1e13, allow_subnormal=False))
def test_axes_end_above_what_they_show(top: float) -> None:
    from tierkit._report_svg import ticks

    marks = ticks(top)
    assert marks[0] == 0
    assert marks[-1] >= top * (1 - 1e-9)
    assert 2 <= len(marks) <= 7
