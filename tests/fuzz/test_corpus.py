"""What fuzzing has kept, through its harness: every kind of input that any codec was ever seen to tell apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .harnesses import CORPUS, HARNESSES

#: Largest input that is kept, and all of them together: they travel with every clone.
LARGEST, ALL = 8192, 400_000


@pytest.mark.parametrize("codec", HARNESSES)
def test_every_input_that_was_kept_is_read_in_order(codec: str) -> None:
    inputs = sorted((CORPUS / codec).iterdir())
    assert len(inputs) >= 5
    for each in inputs:
        try:
            HARNESSES[codec](each.read_bytes())
        except Exception as error:
            error.add_note(f"python -m tests.fuzz {codec} {each}")
            raise


def test_the_corpus_is_of_these_harnesses_and_small() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(HARNESSES)
    sizes = [each.stat().st_size for each in CORPUS.rglob("*") if each.is_file()]
    assert max(sizes) <= LARGEST
    assert sum(sizes) <= ALL


def test_every_codec_that_reads_bytes_has_a_harness() -> None:
    """By its imports: a codec that says RemoteProtocolError reads what strangers send."""
    codecs = Path(__file__).parents[2] / "tierkit" / "codecs"
    used = "".join((Path(__file__).parent / f"{each}.py").read_text() for each in ("rtmp", "http", "wowza"))
    missing = []
    for path in sorted(codecs.glob("*.py")):
        reads = re.search(r"raise RemoteProtocolError", path.read_text())
        if reads and not re.search(rf"\b{path.stem}\b", used):
            missing.append(path.stem)
    assert missing == []
