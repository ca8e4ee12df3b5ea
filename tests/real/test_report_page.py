"""A night's page in Chromium: on a desk and on a phone, by day and in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tierkit import report

from ..report.nights import history
from .browser import Browser, open_browser

pytestmark = [pytest.mark.real("chromium", "chromedriver"), pytest.mark.timeout(120)]

#: What is seen of the graphs, what is wider than the screen, and the contrast of each text with what is behind it
#: (WCAG 2, relative luminance).
LOOK = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((each) => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const back = light(getComputedStyle(document.body).backgroundColor);
const against = (colour) => (Math.max(light(colour), back) + 0.05) / (Math.min(light(colour), back) + 0.05);
const texts = [...document.querySelectorAll('h1, h2, p, th, td, dt, dd, li, caption, figcaption')];
const drawn = [...document.querySelectorAll('svg')].filter((each) => each.getBoundingClientRect().width > 0);
const words = drawn.flatMap((each) => [...each.querySelectorAll('text')]);
return {
  width: document.documentElement.scrollWidth,
  back: getComputedStyle(document.body).backgroundColor,
  graphs: drawn.map((each) => each.getAttribute('class')),
  letters: Math.min(...words.map((each) => each.getBoundingClientRect().height)),
  text: Math.min(...texts.map((each) => against(getComputedStyle(each).color))),
  axes: Math.min(...words.map((each) => against(getComputedStyle(each).fill))),
};
"""


async def look(browser: Browser, *, width: int, dark: bool, shot: Path) -> dict[str, Any]:
    await browser.screen(width, 900, dark=dark)
    found: dict[str, Any] = await browser.run(LOOK)
    await browser.whole_page(shot)
    return found


async def test_a_page_for_a_desk_and_for_a_phone_by_day_and_in_the_dark(tmp_path: Path) -> None:
    night = report(history(), title="Sitting", conditions={"machine": "two cores"}, broken=["a viewer stalled"])
    page = tmp_path / "night.html"
    page.write_text(night.html())
    async with open_browser() as browser:
        await browser.open(page.as_uri())
        for width, kind in ((1200, "wide"), (360, "phone")):
            for dark in (False, True):
                found = await look(browser, width=width, dark=dark, shot=tmp_path / f"{kind}-{dark}.png")
                assert found["width"] <= width, "nothing sticks out"
                assert found["graphs"] == [kind, kind], "one of each graph is seen, the one for this screen"
                assert found["letters"] >= 10, "axes can be read, CSS pixels"
                assert min(found["text"], found["axes"]) >= 4.5, "WCAG 2.1, 1.4.3"
                assert (found["back"] == "rgb(255, 255, 255)") is not dark
        assert await browser.run("return performance.getEntriesByType('resource').length") == 0
