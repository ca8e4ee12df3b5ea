"""The benchmark of the parsers: what it reads is whole, and its table has its place; how fast it is, is not tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._compare import write_between
from benchmarks._parsers import ROWS, SCRIPT, Row, minute, table

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_message_of_the_minute_is_read(row: Row) -> None:
    assert row.read(row.chunk_size, minute(row.chunk_size)) == 60 * 25 + 60 * 45


def test_the_table_has_goals_and_verdicts() -> None:
    lines = table({"chunks of 128 bytes": 11.0, "chunks of 4,096 bytes": 400.0, "chunks of 60,000 bytes": 900.0})
    assert lines.splitlines()[2:] == [
        "| chunks of 128 bytes | 11 | ≥ 12 | **not met** |",
        "| chunks of 4,096 bytes | 400 | ≥ 56 | met |",
        "| chunks of 60,000 bytes | 900 |  |  |",
    ]


def test_the_page_has_a_place_for_the_table() -> None:
    assert "new" in write_between(PAGE.read_text(), "new", SCRIPT)
