#!/usr/bin/env python3
"""What one decision costs, without any I/O: src/config/schedule_bench.cc, the best of several runs.

Prefix, queue, KV cache and active-request scorers look at a prompt of 8,000 tokens, its first half cached at one endpoint in
eight, among 8, 100 and 1,000 busy endpoints; the time covers schedule(), first_token() and ended().
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "bench"))

import old_and_new  # noqa: E402

NAME = "schedule_plugins"
LIMITS = {100: 15.0}  # microseconds
GOALS = {8: 1.0, 100: 8.0, 1000: 80.0}
CACHED = (0.45, 0.5)  # of the prompt, at the chosen endpoint: otherwise it is not this decision that was measured
ALLOCATIONS_MAX = 0.01  # of a decision: rounding, not a habit


def run_bench(program, repetitions):
    """{endpoints: what was measured, in microseconds and counts}"""
    done = subprocess.run([program, f"--benchmark_filter=^{NAME}/", f"--benchmark_repetitions={repetitions}",
                           "--benchmark_enable_random_interleaving=true", "--benchmark_format=json"],
                          stdout=subprocess.PIPE, check=True, timeout=600)
    runs = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry["run_type"] == "iteration":
            unit = {"ns": 1e-3, "us": 1.0, "ms": 1e3}[entry["time_unit"]]
            runs.setdefault(int(entry["name"].split("/")[1]), []).append((entry["cpu_time"] * unit, entry))
    return {endpoints: {"best": min(us for us, _ in list_), "worst": max(us for us, _ in list_),
                        "allocations": max(entry["allocations"] for _, entry in list_),
                        "cached": min(entry["cached"] for _, entry in list_)} for endpoints, list_ in sorted(runs.items())}


def row(endpoints, result):
    goal = GOALS[endpoints]
    limit = f"{LIMITS[endpoints]:g}" if endpoints in LIMITS else "-"
    return (f"| {endpoints:9,} | {result['best']:7.2f} | {result['worst']:8.2f} | {result['allocations']:11.3f} "
            f"| {limit:>8} | {goal:7g} | {'reached' if result['best'] <= goal else 'missed':>7} |")


def check(results):
    """What is wrong, a sentence each."""
    wrong = [f"{endpoints} endpoints were not measured" for endpoints in GOALS if endpoints not in results]
    for endpoints, result in results.items():
        if result["allocations"] > ALLOCATIONS_MAX:
            wrong.append(f"{endpoints} endpoints: {result['allocations']:.3f} allocations in a decision, none is allowed")
        if not CACHED[0] <= result["cached"] <= CACHED[1]:
            wrong.append(f"{endpoints} endpoints: {result['cached']:.2f} of the prompt was cached, not half")
        if result["best"] > LIMITS.get(endpoints, result["best"]):
            wrong.append(f"{endpoints} endpoints: {result['best']:.2f} us, the limit is {LIMITS[endpoints]:g}")
    return wrong


def against_old(new, old, rounds):
    """[(passed, sentence)] of each number of endpoints: the programs take turns."""
    costs = {}  # (program, endpoints): [microseconds, ...]
    for number in range(rounds):
        for program in old_and_new.in_turn([new, old], number):
            for endpoints, result in run_bench(program, 1).items():
                costs.setdefault((program, endpoints), []).append(result["best"])
    return [old_and_new.verdict(f"{endpoints} endpoints", costs.get((new, endpoints), []), costs.get((old, endpoints), []))
            for endpoints in GOALS]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=PROJECT / "build/release/src/config/schedule_bench")
    parser.add_argument("--repetitions", type=int, default=5, help="the best of them counts (default: 5)")
    parser.add_argument("--against", metavar="PATH", type=Path, help="an older schedule_bench, which takes turns with the new one: "
                        f"--check fails when the 95 %% interval of the ratio of their times lies wholly above {old_and_new.LIMIT}")
    parser.add_argument("--rounds", type=int, default=old_and_new.ROUNDS_LEAST, help="with --against (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with status 1 beyond a limit or with allocations")
    arguments = parser.parse_args()
    results = run_bench(arguments.program, arguments.repetitions)
    print("| endpoints | best us | worst us | allocations | limit us | goal us |    goal |\n"
          "|----------:|--------:|---------:|------------:|---------:|--------:|--------:|")
    for endpoints, result in results.items():
        print(row(endpoints, result))
    wrong = check(results)
    print("\n".join(["", *wrong]) if wrong else "\nwithin the limits, nothing allocated")
    compared = against_old(arguments.program.resolve(), arguments.against.resolve(), arguments.rounds) if arguments.against else []
    for passed, sentence in compared:
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
    return 1 if arguments.check and (wrong or not all(passed for passed, _ in compared)) else 0


if __name__ == "__main__":
    sys.exit(main())
