#!/usr/bin/env python3
"""Prefill here, decode there, with real processes: the answers must be those of one worker that does both.

  identity   mixed requests through a prefill and a decode worker, each way that blocks can travel; compressed, what
             may differ and what not
  faults     one flipped byte, one missing block, one stale block, each way: none passes unnoticed
  chaos      many requests while workers are killed and stopped, connections cut and notifications lost

Every worker has the same seed, and blocks have bytes (--kv-bytes): a wrong byte is a wrong answer.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import chaos
import compressed
import faults
import identity
from fleet import ROOT, Redis
from ways import all_ways, compressed_ways


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("identity", "faults", "chaos"))
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--requests", type=int, default=1000, help="identity: of each way")
    parser.add_argument("--only", help="ways whose name holds this (chaos: nixl-tcp alone without it)")
    parser.add_argument("--minutes", type=float, default=1 / 3, help="chaos: for how long")
    parser.add_argument("--in-flight", type=int, default=200, help="chaos: requests at once")
    parser.add_argument("--seed", type=int, default=1, help="chaos: of what happens")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="kvasir-pd-")
    alone = arguments.what == "chaos" and not arguments.only
    redis = Redis() if Redis.program() and not alone else None
    if redis is None and not alone:
        print("SKIPPED lmcache: there is no redis-server (Debian: apt-get install redis-server)")
    try:
        places = (folder, redis.port if redis else None)
        ways, packed = ([way for way in some(*places) if not arguments.only or arguments.only in way.name]
                        for some in (all_ways, compressed_ways))
        for way in ways + packed:
            if "shared_storage_path" in way.extra:
                Path(way.extra["shared_storage_path"]).mkdir(parents=True, exist_ok=True)
        if arguments.what == "identity":
            passed = not ways or identity.run(arguments.kvasir, ways, arguments.requests)
            passed = (not packed or compressed.run(arguments.kvasir, packed)) and passed
        elif arguments.what == "faults":
            passed = faults.run(arguments.kvasir, ways, redis)
        else:
            passed = all([chaos.run(arguments.kvasir, way, redis, 60 * arguments.minutes, arguments.in_flight,
                                    arguments.seed) for way in ways if not alone or way.name == "nixl-tcp"])
    finally:
        if redis is not None:
            redis.close()
        shutil.rmtree(folder, ignore_errors=True)
    print("PASSED" if passed else "FAILED")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
