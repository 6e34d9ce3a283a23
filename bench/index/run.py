#!/usr/bin/env python3
"""The index of exact KV blocks beside other designs, on the events of 128 engines that serve a trace: index_bench.

One table: who is exact, block operations a second that are kept up with, lookups meanwhile, memory. README.md tells how to read it.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "bench"))

import old_and_new  # noqa: E402

ORACLE = PROJECT / "bench/index/dynamo_oracle.py"
PRODUCT = "Kvasir"
NAIVE = "naive map"

FACTOR_LEAST = 2.0  # operations, as a multiple of the fastest exact contender's
NAIVE_BYTES_MOST = 0.25  # of the naive map's
CAPACITY_BYTES_MOST = 1 << 30
CLEAR_SEEN_MOST_NS = 1e6
CLEARS_IN_TIME_LEAST = 0.99  # the machine may take a thread's core away
AGAINST_OPERATIONS = 4_000_000  # of one turn with an older program
GOALS = {"operations": 10e6, "long_lookup_us": 5.0, "hashing_us": 40.0, "bytes": 24.0}


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def summary(contender, memberships):
    """What the table shows of a contender; lookups in microseconds."""
    latencies = [ns for found in contender["rounds"] if "comfort" in found for ns in found["comfort"]["latencies_ns"]]
    ceilings = [found["ceiling"] for found in contender["rounds"]]
    kept = [found["comfort"]["window_s"] / found["comfort"]["took_s"] for found in contender["rounds"] if "comfort" in found]
    return {
        "name": contender["name"], "what": contender["what"],
        "exact": all(check["differences"] == 0 for check in contender["exactness"]),
        "first_difference": next((check["first_difference"] for check in contender["exactness"] if check["differences"]), ""),
        "lookups_checked": sum(check["lookups"] for check in contender["exactness"]),
        "operations": median(ceilings), "operations_of_rounds": ceilings,
        "per_cpu_s": median(found["unbounded_per_cpu_s"] for found in contender["rounds"]),
        "kept_up_at_80_percent": bool(kept) and min(kept) >= 0.99,
        "lookups": len(latencies),
        "lookup_us": {str(part): quantile(latencies, part) / 1e3 for part in (0.5, 0.99, 0.999)},
        "bytes": contender["memory"]["bytes"] / memberships,
        "long_same_us": {str(part): quantile(contender["long_prompts"]["same_ns"], part) / 1e3 for part in (0.5, 0.99)},
        "long_others_us": {str(part): quantile(contender["long_prompts"]["others_ns"], part) / 1e3 for part in (0.5, 0.99)},
    }


def table(rows):
    lines = ["| index | exact | M block ops/s kept up with | of the rounds | M ops per CPU second | lookup p50 / p99 / p99.9 us "
             "| bytes a membership | 128k-token lookup p50 / p99 us | one of 64 such |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        us, same, others = row["lookup_us"], row["long_same_us"], row["long_others_us"]
        lines.append(
            f"| {row['name']} ({row['what']}) | {'yes' if row['exact'] else '**not exact**'} | {row['operations'] / 1e6:.2f} "
            f"| {min(row['operations_of_rounds']) / 1e6:.2f} - {max(row['operations_of_rounds']) / 1e6:.2f} "
            f"| {row['per_cpu_s'] / 1e6:.2f} | {us['0.5']:.1f} / {us['0.99']:.1f} / {us['0.999']:.1f}"
            f"{'' if row['kept_up_at_80_percent'] else ' (fell behind)'} | {row['bytes']:.1f} "
            f"| {same['0.5']:.2f} / {same['0.99']:.2f} | {others['0.5']:.2f} / {others['0.99']:.2f} |")
    return lines


def named(rows, name):
    return next((row for row in rows if row["name"] == name), None)


def check(rows):
    """[(passed, sentence)] of what must hold."""
    product, naive = named(rows, PRODUCT), named(rows, NAIVE)
    exact = [row for row in rows if row["exact"] and row["name"] != PRODUCT]
    if not product or not naive or not exact:
        return [(False, f"{PRODUCT}, the {NAIVE} and another exact index have to be measured together")]
    fastest = max(exact, key=lambda row: row["operations"])
    factor = product["operations"] / fastest["operations"] if fastest["operations"] else 0.0
    cpu_factor = product["per_cpu_s"] / fastest["per_cpu_s"]
    return [
        (product["exact"], f"{PRODUCT} answers {product['lookups_checked']:,} lookups as the oracle does"
         + (f", but: {product['first_difference']}" if not product["exact"] else "")),
        (factor >= FACTOR_LEAST, f"{factor:.2f} times the operations of the fastest exact contender ({fastest['name']}); at least "
         f"{FACTOR_LEAST:g}; by CPU time {cpu_factor:.2f} times"),
        (product["bytes"] <= fastest["bytes"], f"{product['bytes']:.1f} bytes a membership, its {fastest['bytes']:.1f} at most"),
        (product["bytes"] <= NAIVE_BYTES_MOST * naive["bytes"],
         f"{product['bytes'] / naive['bytes']:.3f} of the naive map's bytes, {NAIVE_BYTES_MOST:g} at most"),
    ]


def goals(rows, hashing_us):
    product = named(rows, PRODUCT)
    reached = [(hashing_us <= GOALS["hashing_us"], f"hashing 128k tokens: {hashing_us:.1f} us, goal {GOALS['hashing_us']:g}")]
    if product:
        long_us = product["long_same_us"]["0.99"]
        reached += [
            (product["operations"] >= GOALS["operations"], f"{product['operations'] / 1e6:.2f} M block ops/s, goal {GOALS['operations'] / 1e6:g}"),
            (long_us <= GOALS["long_lookup_us"], f"lookup of 128k tokens, warm, after hashing: p99 {long_us:.2f} us, goal {GOALS['long_lookup_us']:g}"),
            (product["bytes"] <= GOALS["bytes"], f"{product['bytes']:.1f} bytes a membership, goal {GOALS['bytes']:g}"),
        ]
    return reached


def describe(workload):
    sharing = workload["memberships"] / workload["distinct"]
    return (f"{workload['requests']:,} requests to {workload['workers']} engines of {workload['blocks_of_worker']:,} blocks of 16 tokens, "
            f"{workload['hit_blocks'] / workload['prompt_blocks']:.1%} of the prompts' blocks found there; "
            f"{workload['operations']:,} block operations in {workload['events']:,} events, the first {workload['warm_operations']:,} before the "
            f"clock starts; {workload['memberships']:,} memberships of {workload['distinct']:,} blocks ({sharing:.2f} each) at the end")


def capacity(arguments):
    """How much fits, and how fast a clear is seen. Exit status."""
    command = [arguments.program, arguments.trace, "--capacity"]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    workload, said, clears = found["workload"], found["said"], found["clears"]
    returned, here, there, tidied = (sorted(clears[name]) for name in ("returned_ns", "here_ns", "there_ns", "tidy_ns"))
    in_time = sum(ns < CLEAR_SEEN_MOST_NS for ns in here) / max(1, len(here))
    checked = [
        (workload["holders"] >= 1000 and said["memberships"] == workload["memberships"] >= 30e6 and said["distinct"] == workload["distinct"] >= 10e6,
         f"{workload['holders']:,} holders have {said['memberships']:,} memberships of {said['distinct']:,} blocks, chains of "
         f"{arguments.trace.name} under {workload['salts']} salts"),
        (found["wrong"] == 0, f"{found['checked']:,} of the prompts asked for, {found['wrong']:,} not found where they are"),
        (found["bytes"] <= CAPACITY_BYTES_MOST, f"{found['bytes'] / 2**20:,.0f} MiB of memory, {CAPACITY_BYTES_MOST / 2**20:,.0f} at most: "
         f"{found['bytes'] / workload['memberships']:.1f} bytes a membership ({said['bytes'] / 2**20:,.0f} MiB by its own account)"),
        (len(here) >= 100 and in_time >= CLEARS_IN_TIME_LEAST,
         f"{len(here)} clears, seen by a lookup right after {quantile(here, 0.5) / 1e3:.1f} us (median), {here[-1] / 1e3:.1f} us at most; "
         f"{in_time:.1%} within 1 ms, {CLEARS_IN_TIME_LEAST:.0%} at least"),
        (quantile(there, 0.5) < CLEAR_SEEN_MOST_NS, f"and by another thread that looks all the time after {quantile(there, 0.5) / 1e3:.1f} us "
         f"(median, 1 ms at most), {quantile(there, 0.99) / 1e3:.1f} us (p99), {there[-1] / 1e3:.1f} us at most"),
    ]
    print("\n".join(f"{'pass' if passed else 'FAIL'}  {sentence}" for passed, sentence in checked))
    print(f"stored in {found['store_s']:.1f} s; clear() itself took {quantile(returned, 0.5) / 1e3:.1f} us (median), {returned[-1] / 1e3:.1f} us at most; "
          f"a piece of tidying {quantile(tidied, 0.5) / 1e3:.1f} us (median), {tidied[-1] / 1e3:.1f} us at most")
    if arguments.json:
        arguments.json.write_text(json.dumps({**found, "must": [{"passed": passed, "what": text} for passed, text in checked]}) + "\n")
    return 1 if arguments.check and not all(passed for passed, _ in checked) else 0


def cpu_ns(program, trace):
    """CPU nanoseconds that one block operation of the product takes, events alone."""
    done = subprocess.run([program, trace, "--apply", PRODUCT, "--operations", str(AGAINST_OPERATIONS)], stdout=subprocess.PIPE, text=True, check=True)
    return 1e3 / float(re.search(r"([0-9.]+) M block operations", done.stdout)[1])


def against_old(new, old, trace, rounds):
    """(passed, sentence): the programs take turns."""
    costs = {new: [], old: []}
    for number in range(rounds):
        for program in old_and_new.in_turn([new, old], number):
            costs[program].append(cpu_ns(program, trace))
    return old_and_new.verdict("a block operation", costs[new], costs[old])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", type=Path, default=PROJECT / "examples/conversation_small.jsonl", help="in Mooncake's format (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the contenders take turns so often; medians count (default: %(default)s)")
    parser.add_argument("--operations", type=int, default=12_000_000, help="block operations to be had after filling (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this contender; may be given again")
    parser.add_argument("--capacity", action="store_true", help="instead: 1,000 holders with 30 million memberships, and how fast a clear is seen")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there too")
    parser.add_argument("--check", action="store_true", help="exit with status 1 when something that must hold does not")
    parser.add_argument("--against", metavar="PATH", type=Path, help="instead: an older index_bench takes turns with the new one: --check "
                        f"fails when the 95 %% interval of the ratio of the product's CPU times lies wholly above {old_and_new.LIMIT}")
    parser.add_argument("--program", type=Path, default=PROJECT / "build/release/bench/index/index_bench")
    arguments = parser.parse_args()
    if arguments.capacity:
        return capacity(arguments)
    if arguments.against:
        rounds = max(arguments.rounds, old_and_new.ROUNDS_LEAST)
        passed, sentence = against_old(arguments.program.resolve(), arguments.against.resolve(), arguments.trace, rounds)
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
        return 1 if arguments.check and not passed else 0

    command = [arguments.program, arguments.trace, "--rounds", str(arguments.rounds), "--operations", str(arguments.operations)]
    command += [part for name in arguments.only for part in ("--only", name)]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    rows = [summary(contender, found["workload"]["memberships"]) for contender in found["contenders"]]
    hashing_us = median(found["hashing"]["ns"]) / 1e3
    checked, reached = check(rows), goals(rows, hashing_us)

    print(f"{arguments.trace.name}: {describe(found['workload'])}\n")
    print("\n".join(table(rows)) + "\n")
    for row in rows:
        if not row["exact"]:
            print(f"{row['name']} is not exact: {row['first_difference']}")
    print("\n".join(f"{'pass' if passed else 'FAIL'}  {sentence}" for passed, sentence in checked))
    print("\n".join(f"{'reached' if good else 'missed '}  {sentence}" for good, sentence in reached))
    oracle = True
    if not arguments.only:
        print()
        sys.stdout.flush()
        oracle = subprocess.run([ORACLE, "--trace", arguments.trace, "--program", arguments.program], check=False).returncode == 0
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"workload": found["workload"], "indexes": rows, "hashing_us": hashing_us,
             "must": [{"passed": passed, "what": sentence} for passed, sentence in checked],
             "goals": [{"reached": good, "what": sentence} for good, sentence in reached]}, indent=1) + "\n")
    return 1 if arguments.check and not (oracle and all(passed for passed, _ in checked)) else 0


if __name__ == "__main__":
    sys.exit(main())
