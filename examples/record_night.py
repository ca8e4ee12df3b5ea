"""The night of 10 November 2013 again, on one machine: 6,000 viewers, 3.55 Gbit/s, and a report.

python examples/record_night.py                  the whole night: needs ffmpeg, two cores, 20,000 descriptors
python examples/record_night.py --scale 0.1      600 viewers, for a smaller machine; up to 10 for a larger one
python examples/record_night.py --https          the HLS viewers come by HTTPS

The graph of examples/grnet.py, each tier a process of its own, behind an origin that is one too.  Who watches what, and
how fast they came, nobody has told: --split and --ramp are assumptions, and the report says so.  Exit code 1, with a
line for each, where a condition is not held: a viewer stalled, a player got something else than was sent, the origin
saw more than four clients, a tier took more than 250 MB, or the rate was below the nominal; 2 where it cannot be run.
Ctrl-C ends all of it.
"""

import argparse
import json
import signal
import sys
from functools import partial
from pathlib import Path

import trio

from tierkit import Report, TierkitError, explain
from tierkit.night import Plan, run_night

say = partial(print, flush=True)


def write(report: Report, folder: Path) -> None:
    """The report in all its forms."""
    (folder / "night.json").write_text(json.dumps(report.as_dict()) + "\n")
    (folder / "night.html").write_text(report.html())
    (folder / "night.txt").write_text(report.text() + "\n")
    try:
        (folder / "night.png").write_bytes(report.png())
    except TierkitError as error:  # no matplotlib: the others are there
        say(error)


async def main(plan: Plan, folder: Path) -> int:
    """Run it until it is over or somebody says so; returns the exit code."""
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_by_signal, everything)
            report = await run_night(plan, folder, say)
            nursery.cancel_scope.cancel()
    if everything.cancelled_caught:
        say("ended before it was over: there is no report")
        return 130
    write(report, folder)
    say(report.text())
    say(f"\nreport in {folder}: night.html, night.png, night.txt, night.json")
    return 1 if report.broken else 0


async def end_by_signal(everything: trio.CancelScope) -> None:
    """Ctrl-C and SIGTERM end all processes, and then this one."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            everything.cancel()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, default=1.0, help="of 6,000 viewers; 1 unless said otherwise")
    options.add_argument("--seconds", type=float, default=60.0, help="how long all of them watch")
    options.add_argument("--ramp", type=float, default=60.0, help="seconds in which they come (an assumption)")
    options.add_argument("--split", default="3:1", metavar="HLS:RTMP", help="who watches what (an assumption)")
    options.add_argument("--players", type=int, default=10, help="ffmpeg players that are compared with the source")
    options.add_argument("--segment", type=float, default=4.0, help="seconds of an HLS segment")
    options.add_argument("--https", action="store_true", help="HLS over HTTPS, by a throw-away certificate")
    options.add_argument("--out", type=Path, default=Path("record_night"), metavar="DIR", help="where the report goes")
    given = vars(options.parse_args())
    out = given.pop("out")
    try:
        code = trio.run(main, Plan(**given), out)
    except Exception as error:
        for line in explain(error)[1]:
            print(f"record_night: {line}", file=sys.stderr)
        code = 2
    sys.exit(code)
