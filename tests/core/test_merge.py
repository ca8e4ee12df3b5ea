"""How figures of several add up to those of one."""

from __future__ import annotations

from tierkit._merge import merged
from tierkit.plugin import Figures


def test_nothing_is_the_defaults() -> None:
    assert merged(Figures, []) == Figures()


def test_counts_add_up_and_the_worst_is_the_worst() -> None:
    one = Figures(viewers=2, lag=0.5, results={"hits": 3, "errors": 1}, memory={"ring": 10})
    other = Figures(viewers=3, lag=0.2, results={"hits": 4, "misses": 7}, memory={"store": 5})
    assert merged(Figures, [one, other]) == Figures(
        viewers=5, lag=0.5, results={"hits": 7, "errors": 1, "misses": 7}, memory={"ring": 10, "store": 5}
    )
