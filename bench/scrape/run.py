#!/usr/bin/env python3
"""What reading the metrics of 1,000 endpoints once a second costs: scrape_bench, and with --against an older one in turns."""
import argparse
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "bench"))

import old_and_new  # noqa: E402

PAGE = PROJECT / "tests/vllm/metrics.txt"
ROUND_SECONDS = 5  # of each program, besides the seconds in which it connects


def us_a_page(program):
    done = subprocess.run([program, PAGE, "--seconds", str(ROUND_SECONDS)], stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return float(re.search(r"([0-9.]+) us a page", done.stdout)[1])


def against_old(new, old, rounds):
    """(passed, sentence): the programs take turns."""
    costs = {new: [], old: []}
    for number in range(rounds):
        for program in old_and_new.in_turn([new, old], number):
            costs[program].append(us_a_page(program))
    return old_and_new.verdict("a page", costs[new], costs[old])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, default=PROJECT / "build/release/bench/scrape/scrape_bench")
    parser.add_argument("--check", action="store_true", help="exit with status 1 at a quarter of a core, or when pages were missed")
    parser.add_argument("--against", metavar="PATH", type=Path, help="an older scrape_bench, which takes turns with the new one: "
                        f"--check fails when the 95 %% interval of the ratio of their CPU a page lies wholly above {old_and_new.LIMIT}")
    parser.add_argument("--rounds", type=int, default=old_and_new.ROUNDS_LEAST, help="with --against (default: %(default)s)")
    arguments = parser.parse_args()
    failed = subprocess.run([arguments.program, PAGE, *(["--check"] if arguments.check else [])], check=False).returncode != 0
    if arguments.against:
        passed, sentence = against_old(arguments.program.resolve(), arguments.against.resolve(), arguments.rounds)
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
        failed = failed or (arguments.check and not passed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
