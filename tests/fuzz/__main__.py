"""Fuzz one codec, or all one after the other: `python -m tests.fuzz [NAME] [--seconds N]`.

With files behind the name, only these are tried: how a finding is tried again.  What a run has found stays in
`build/fuzz/NAME`, where the next one begins; `--keep` puts the smallest set of small inputs that reaches as much into
`tests/data/corpus/NAME`.  Needs atheris.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

#: Largest input that is tried, bytes.
LONGEST = 4096
#: Seconds that one input may take, and megabytes that the process may hold.
SLOWEST, MEMORY = 5, 1024
BUILD = Path(__file__).parents[2] / "build" / "fuzz"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("codec", nargs="?", default="", help="which codec, all where none is named")
    parser.add_argument("files", nargs="*", type=Path, help="try these and nothing else")
    parser.add_argument("--seconds", type=int, default=60, help="time for each codec (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="put what was found into tests/data/corpus")
    return parser.parse_args()


def fuzz(codec: str, seconds: int, files: list[Path]) -> None:
    """In this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["tierkit.codecs"]):
        from .harnesses import CORPUS, HARNESSES
    harness = HARNESSES[codec]
    found, kept = BUILD / codec, CORPUS / codec
    found.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    said = [
        f"-max_len={LONGEST}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={BUILD}/{codec}-",
    ]
    if files:
        said += map(str, files)
    else:
        said += [f"-max_total_time={seconds}", "-print_final_stats=1", "-verbosity=1", str(found), str(kept)]
    atheris.Setup([sys.argv[0], *said], lambda data: harness(bytes(data)))
    atheris.Fuzz()


def keep_found(only: str) -> int:
    """Put what the runs so far have found into the corpora."""
    from .harnesses import CORPUS, HARNESSES
    from .keep import keep

    for codec in [only] if only else HARNESSES:
        if (BUILD / codec).is_dir():
            print(f"{codec}: {keep(HARNESSES[codec], (BUILD / codec).iterdir(), CORPUS / codec)} added")
    return 0


def main() -> int:
    said = options()
    if said.keep:
        return keep_found(said.codec)
    if said.codec:
        fuzz(said.codec, said.seconds, said.files)
        return 0
    from .harnesses import HARNESSES

    command = [sys.executable, "-m", "tests.fuzz"]
    seconds = f"--seconds={said.seconds}"
    failed = [codec for codec in HARNESSES if subprocess.run([*command, codec, seconds], check=False).returncode]
    print(f"{len(HARNESSES)} codecs, findings in: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
