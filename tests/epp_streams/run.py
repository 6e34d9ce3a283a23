#!/usr/bin/env python3
"""Holds 8,000 ext_proc streams open at once in `kvasir epp`, each in the middle of its answer, and weighs them.

Passes when every stream got its decision, its body and its answer's messages back, none failed, and a stream costs the
picker at most --kib-max of memory. grpcio plays Envoy; it comes from PyPI into a virtual environment, made when missing.
"""
import argparse
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/envoy"))

from envoy_install import install_python  # noqa: E402
from fleet import Picker, Worker  # noqa: E402

WORKERS = 8
HELD_SECONDS = 5


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def start(kvasir, folder, stack):
    workers = [Worker(kvasir, folder, number) for number in range(1, WORKERS + 1)]
    for worker in workers:
        stack.callback(worker.stop)
        worker.wait()
    picker = Picker(kvasir, folder, [worker.name for worker in workers])
    stack.callback(picker.stop)
    return picker


def run_client(python, picker, streams, channels):
    """Runs client.py; returns (picker's KiB without streams, with them all, after them), or None when it failed."""
    command = [python, Path(__file__).parent / "client.py", str(picker.port)]
    warm_up = subprocess.run([*command, "64", str(channels)], input=b"\n", stdout=subprocess.DEVNULL)
    if warm_up.returncode:
        return None
    empty = resident_kib(picker.process.pid)
    client = subprocess.Popen([*command, str(streams), str(channels)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    if client.stdout.readline().strip() == "held":
        print(f"{streams:,} streams are open after {time.monotonic() - began:.1f} s", flush=True)
        time.sleep(HELD_SECONDS)  # nothing may end by itself
        held = resident_kib(picker.process.pid)
        client.stdin.write("\n")
        client.stdin.flush()
        ended = client.stdout.readline().strip() == "ended"
        if client.wait(60) == 0 and ended:
            return empty, held, resident_kib(picker.process.pid)
    client.kill()
    client.wait()
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--venv", type=Path, default=ROOT / "build/venv-envoy", help="virtual environment of grpcio")
    parser.add_argument("--streams", type=int, default=8000)
    parser.add_argument("--channels", type=int, default=16, help="connections to the picker")
    parser.add_argument("--kib-max", type=float, default=16, help="memory that a stream may cost")
    arguments = parser.parse_args()
    python = install_python(arguments.venv)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="epp-streams-"))
        picker = start(arguments.kvasir, folder, stack)
        memory = run_client(python, picker, arguments.streams, arguments.channels)
    if memory is None:
        print("FAILED: the client reported an error")
        return 1
    empty, held, after = memory
    each = (held - empty) / arguments.streams
    print(f"picker resident: {empty / 1024:.1f} MiB before, {held / 1024:.1f} MiB with all of them, {after / 1024:.1f} MiB after "
          f"their end: {each:.2f} KiB a stream")
    passed = each <= arguments.kib_max
    print("passed" if passed else f"FAILED: more than {arguments.kib_max:g} KiB a stream")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
