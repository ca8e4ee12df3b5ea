"""The recipes of the how-to make URLs that are good."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tierkit.codecs.secure_link import DEFAULT_EXPRESSION
from tierkit.codecs.signed_url import SigningKey, verify

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "signed-urls.md").read_text("utf-8")
KEYS = {"k1": SigningKey("k1", b"the-secret-of-the-file")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def check(url: str) -> None:
    match = re.fullmatch(r"https://edge\.example(/live/s/playlist\.m3u8)\?token=(\S+)\n?", url)
    assert match is not None
    grant = verify(match[2], match[1], KEYS, time.time())
    assert (grant.prefix, grant.bound) == ("/live/s/", False)
    assert 3500 < grant.expires - time.time() <= 3600


def test_the_recipes_in_python() -> None:
    sign, own = blocks("python")
    told: dict[str, str] = {}
    exec(sign, told)
    check(told["url"])
    exec(own, {})


@pytest.mark.real("sh", "openssl")
def test_the_recipe_in_a_shell() -> None:
    (recipe,) = blocks("sh")
    check(subprocess.run(["sh", "-ec", recipe], check=True, capture_output=True, timeout=20, text=True).stdout)


def test_nginxs_expression_is_the_default() -> None:
    (nginx,) = blocks("nginx")
    assert DEFAULT_EXPRESSION.replace(" $secret", " secret") in nginx
