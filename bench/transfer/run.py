#!/usr/bin/env python3
"""How fast KV blocks get from one worker to another, way by way, beside the same bytes with nothing around them.

The contenders take turns within one run of one program; each ratio is that of two medians. --check exits with 1 when one is below what it must be:
  nixl (TCP, shared memory), p2p   against a raw copy over TCP                  50 % (goal: 80 %)
  fs                               against write() and fsync() of the same bytes  60 %
  lmcache                          against redis-benchmark's SET and GET          50 %
redis-benchmark sets as many keys as there are blocks, in an empty Redis; it gets one key again and again, which is harder to keep up with than
blocks of their own.
"""
import argparse
import statistics
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# contender: (what it is held against, the least ratio, the goal)
LIMITS = {
    "nixl_tcp": ("raw_tcp", 0.5, 0.8),
    "nixl_tcp_by_layers": ("raw_tcp", 0.5, 0.8),
    "nixl_shm": ("raw_tcp", 0.5, 0.8),
    "p2p": ("raw_tcp", 0.5, 0.8),
    "fs_vllm_store": ("write_fsync", 0.6, 0.8),
    "fs_kvasir_store": ("write_fsync", 0.6, 0.8),
    "lmcache_set": ("redis_set", 0.5, 0.8),
    "lmcache_get": ("redis_get", 0.5, 0.8),
}


def measure(program, rounds, megabytes, only):
    """{(contender, block bytes): [GB/s, ...]}"""
    names = [word for name in only for word in ("--only", name)]
    done = subprocess.run([program, "--rounds", str(rounds), "--megabytes", str(megabytes), *names], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=1800)
    speeds = {}
    for line in done.stdout.splitlines():
        name, block_bytes, speed = line.split()
        speeds.setdefault((name, int(block_bytes)), []).append(float(speed))
    return speeds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=PROJECT / "build/release/bench/transfer/transfer_bench")
    parser.add_argument("--rounds", type=int, default=11, help="of each contender (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=64, help="of one transfer (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="a contender, repeatable; what it is held against is run, too (default: all)")
    parser.add_argument("--check", action="store_true", help="exit with status 1 when one is too slow")
    arguments = parser.parse_args()

    unknown = set(arguments.only) - LIMITS.keys()
    if unknown:
        parser.error(f"--only {unknown.pop()}: not one of {', '.join(LIMITS)}")
    only = dict.fromkeys(name for one in arguments.only for name in (LIMITS[one][0], one))
    speeds = measure(arguments.program, arguments.rounds, arguments.megabytes, only)
    medians = {key: statistics.median(values) for key, values in speeds.items()}
    failed = False
    print(f"{'contender':<20} {'block':>8} {'GB/s':>7} {'min':>7} {'max':>7}  {'of':<12} {'ratio':>6}  must  goal")
    for (name, block_bytes), values in speeds.items():
        row = f"{name:<20} {block_bytes:>8} {medians[name, block_bytes]:>7.2f} {min(values):>7.2f} {max(values):>7.2f}"
        if name in LIMITS:
            against, least, goal = LIMITS[name]
            ratio = medians[name, block_bytes] / medians[against, block_bytes]
            verdict = "FAIL" if ratio < least else "met" if ratio >= goal else "pass"
            failed |= ratio < least
            row += f"  {against:<12} {ratio:>6.2f}  {least:.2f}  {goal:.2f}  {verdict}"
        print(row)
    return 1 if arguments.check and failed else 0


if __name__ == "__main__":
    sys.exit(main())
