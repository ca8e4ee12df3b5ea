"""What `http.py` compares."""

from benchmarks import _bursts, _memory, _steady
from benchmarks._compare import Comparison
from benchmarks._peers import STARTERS

COMPARISON = Comparison(
    "http.py",
    {**_steady.ROWS, "2": _steady.ROWS["2"] + (_memory.tls_viewers(),), **_bursts.ROWS, **_memory.ROWS},
    STARTERS,
)
