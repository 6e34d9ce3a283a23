#!/usr/bin/env python3
"""Holds 8,000 streams open at once through the gateway and watches its memory.

Starts eight simulated workers at a twentieth of real time behind `kvasir gateway` (policy least-load), sends
8,000 rows that are all due at t = 0 with `kvasir bench replay --bins as-is`, and reads the gateway's resident
memory 30 and 70 seconds in. Passes when no request failed and the two differ by at most 2 %.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY_AT_SECONDS = (30, 70)
MEMORY_TOLERANCE = 0.02
READY_SECONDS = 60


def write_trace(path, rows, prompt_tokens, output_tokens):
    with open(path, "w") as file:
        for row in range(rows):
            file.write(json.dumps({"timestamp": 0, "input_length": prompt_tokens, "output_length": output_tokens,
                                   "hash_ids": [row]}) + "\n")


def gateway_of(up_pid):
    """The gateway's pid and port, from the children of `kvasir up`."""
    children = Path(f"/proc/{up_pid}/task/{up_pid}/children").read_text().split()
    for pid in children:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"gateway" in arguments:
            return int(pid)
    raise SystemExit("kvasir up has no gateway")


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def streams_open(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for(up, log):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"Endpoint\s+(http://\S+)/v1", log.read_text())
        if found:
            return found.group(1)
        if up.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("kvasir up did not come up:\n" + log.read_text())


def watch_memory(pid, replay):
    start = time.monotonic()
    memory = []
    for at in MEMORY_AT_SECONDS:
        while time.monotonic() - start < at and replay.poll() is None:
            time.sleep(0.2)
        memory.append(resident_kib(pid))
        print(f"{at} s: gateway {memory[-1] / 1024:.1f} MiB resident, {streams_open(pid):,} descriptors", flush=True)
    return memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--streams", type=int, default=8000)
    parser.add_argument("--prompt-tokens", type=int, default=16)
    parser.add_argument("--output-tokens", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "streams.jsonl"
        report = Path(folder) / "report.json"
        log = Path(folder) / "up.log"
        write_trace(trace, arguments.streams, arguments.prompt_tokens, arguments.output_tokens)
        with open(log, "w") as output:
            up = subprocess.Popen([arguments.kvasir, "up", "--port", "0", "--policy", "least-load", "--time-scale",
                                   "0.05"], stdout=output, stderr=output)
        try:
            url = wait_for(up, log)
            replay = subprocess.Popen([arguments.kvasir, "bench", "replay", "--url", url, "--trace", str(trace),
                                       "--bins", "as-is", "--time-scale", "0.05", "--timeout", "1800", "--allow-lag",
                                       "--json", str(report)])
            memory = watch_memory(gateway_of(up.pid), replay)
            status = replay.wait()
        finally:
            up.terminate()
            up.wait(timeout=30)
        arm = json.loads(report.read_text())["arms"][0]
    change = abs(memory[1] - memory[0]) / memory[0]
    print(f"{arm['requests']} requests, {arm['errors']} errors, memory changed by {change:.2%}")
    passed = status == 0 and arm["errors"] == 0 and arm["requests"] == arguments.streams and change <= MEMORY_TOLERANCE
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
