"""The console's page as a document: what its policy allows, its contrasts, and what it must not hold."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from tierkit.plugins.console._page import SCRIPTS, page

BODY = page().body.decode()
STYLE = files("tierkit.plugins.console").joinpath("page/style.css").read_text("utf-8")
SCRIPT = "\n".join(files("tierkit.plugins.console").joinpath(f"page/{name}.js").read_text("utf-8") for name in SCRIPTS)


def hashed(kind: str) -> str:
    (found,) = re.findall(rf"<{kind}>(.*?)</{kind}>", BODY, re.DOTALL)
    return f"'sha256-{b64encode(sha256(found.encode()).digest()).decode()}'"


def test_the_policy_allows_the_one_script_and_the_one_style_and_nothing_else() -> None:
    policy = dict(each.strip().split(" ", 1) for each in page().policy.decode().split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": hashed("script"),
        "style-src": hashed("style"),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    outside = [each for each in re.findall(r"https?://[^\s\"'`)]+", BODY) if each != "http://www.w3.org/2000/svg"]
    assert outside == []
    assert set(re.findall(r'(?:src|href)="([^"]*)"', BODY)) == {"#main", "data:,", "#/", "/statistics"}


def test_every_part_of_the_script_is_in_the_page() -> None:
    folder = Path(str(files("tierkit.plugins.console").joinpath("page")))
    assert {each.stem for each in folder.glob("*.js")} == set(SCRIPTS)
    assert all(len(each.read_text().splitlines()) < 400 for each in folder.iterdir())


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_what_comes_from_the_process_never_becomes_markup(word: str) -> None:
    assert word not in SCRIPT


def test_the_document_has_what_readers_of_the_screen_need() -> None:
    assert '<html lang="en">' in BODY
    assert all(f"<{each}" in BODY for each in ("header", "main", "footer", "title", "noscript"))
    assert 'role="alert"' in BODY
    assert 'role="status"' in BODY
    assert "user-scalable" not in BODY
    assert "outline: none" not in STYLE.replace("main:focus, h1:focus { outline: none; }", "")


# --- contrast ------------------------------------------------------------------------------------------------------


def variables(dark: bool) -> dict[str, str]:
    light, _, rest = STYLE.partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rest.partition("}")[0])) if dark else found


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[each : each + 2], 16) / 255 for each in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT = [
    (text, ground) for text in ("text", "quiet", "accent", "ok", "warn", "bad") for ground in ("ground", "raised")
] + [
    ("text", "bad-ground"),
    ("bad", "bad-ground"),
    ("quiet", "bad-ground"),
    ("ok", "bad-ground"),
    ("warn", "bad-ground"),
]
TEXT += [("banner-text", "banner"), ("ground", "accent")]
SHAPES = [
    (shape, ground)
    for shape in ("strong-rule", "low", "middle", "high", *(f"c{each}" for each in range(7)))
    for ground in ("ground", "raised")
]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_contrast_of_two_known_colours_is_what_wcag_says(dark: bool) -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert {name for pair in TEXT + SHAPES for name in pair} <= variables(dark).keys()
    assert variables(True)["ground"] != variables(False)["ground"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_words_can_be_read(text: str, ground: str, dark: bool) -> None:
    colours = variables(dark)
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_lines_and_areas_can_be_seen(shape: str, ground: str, dark: bool) -> None:
    colours = variables(dark)
    assert contrast(colours[shape], colours[ground]) >= 3


def dichromat(colour: str, kind: str) -> tuple[float, float, float]:
    """What one without a kind of cones sees: Viénot, Brettel and Mollon 1999, in linear light."""
    parts = [int(colour[each : each + 2], 16) / 255 for each in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    mixed = (0.11238 * red + 0.88762 * green) if kind == "protan" else (0.29275 * red + 0.70725 * green)
    other = (0.00401 * red - 0.00401 * green + blue) if kind == "protan" else (-0.02234 * red + 0.02234 * green + blue)
    return mixed, mixed, other


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_the_first_series_differ_for_those_who_see_fewer_colours(kind: str, dark: bool) -> None:
    # Four types of traffic are what most graphs have; beyond them the patterns tell.
    seen = [dichromat(variables(dark)[f"c{each}"], kind) for each in range(3)]
    for index, one in enumerate(seen):
        for other in seen[index + 1 :]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 0.05
