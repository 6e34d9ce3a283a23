#!/usr/bin/env python3
"""How fast batches of KV events are read: our decoder, in place; a naive reader; and msgspec, by which vLLM writes them.

All three read the same frames: those that a real vLLM 0.32.0 published (tests/vllm/kv_events), and large batches with a
vocabulary of 2,000 and one of 128,000 tokens. msgspec comes from the Python package index, into build/venv-msgspec. The best of
several runs counts, by processor time. --check exits with 1 below 1 GB/s on recorded frames, or when a batch allocates memory.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MSGSPEC = "msgspec==0.22.0"
FRAMES = ("recorded", "vocabulary_2k", "vocabulary_128k")
LEAST_GB_PER_SECOND = 1.0


def run_ours(program, repetitions):
    """{(reader, frames): [GB/s, ...]}, {frames: allocations}"""
    done = subprocess.run([program, f"--benchmark_repetitions={repetitions}", "--benchmark_enable_random_interleaving=true",
                           "--benchmark_format=json", "--benchmark_min_time=0.2"], stdout=subprocess.PIPE, check=True, timeout=600,
                          env=os.environ | {"KVASIR_SOURCE_DIR": str(PROJECT)})
    speeds, allocations = {}, {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry["run_type"] != "iteration":
            continue
        reader, frames = entry["name"].split("/")[:2]
        speeds.setdefault((reader, frames), []).append(entry["bytes_per_second"] / 1e9)
        if reader == "in_place":
            allocations[frames] = max(allocations.get(frames, 0), entry["allocations"])
    return speeds, allocations


def msgspec_python():
    venv = PROJECT / "build/venv-msgspec"
    if not (venv / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", MSGSPEC], check=True)
        (venv / "complete").touch()
    return venv / "bin/python"


def run_msgspec(program, repetitions):
    frames = subprocess.run([program, "--write_frames"], stdout=subprocess.PIPE, check=True,
                            env=os.environ | {"KVASIR_SOURCE_DIR": str(PROJECT)}).stdout
    done = subprocess.run([msgspec_python(), Path(__file__).parent / "read_by_msgspec.py", str(repetitions)], input=frames,
                          stdout=subprocess.PIPE, check=True, timeout=600)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROJECT / "build/release/src/wire/kv_event_decoder_bench")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--no-msgspec", action="store_true", help="without the Python package")
    parser.add_argument("--check", action="store_true", help="exit with 1 when too slow")
    arguments = parser.parse_args()
    speeds, allocations = run_ours(arguments.program, arguments.repetitions)
    msgspec = {} if arguments.no_msgspec else run_msgspec(arguments.program, arguments.repetitions)
    print("| frames          | Kvasir GB/s | allocations a batch | naive reader | msgspec | Kvasir / msgspec |")
    print("|-----------------|------------:|--------------------:|-------------:|--------:|-----------------:|")
    for frames in FRAMES:
        ours, naive, theirs = max(speeds["in_place", frames]), max(speeds["naive", frames]), msgspec.get(frames)
        print(f"| {frames:15} | {ours:11.2f} | {allocations[frames]:19.2f} | {naive:12.3f} | "
              + (f"{theirs:7.3f} | {ours / theirs:16.1f} |" if theirs else "      - |                - |"))
    wrong = [f"{frames}: {count:.2f} allocations a batch, none is allowed" for frames, count in allocations.items() if count > 0.01]
    if max(speeds["in_place", "recorded"]) < LEAST_GB_PER_SECOND:
        wrong.append(f"recorded frames: less than {LEAST_GB_PER_SECOND} GB/s")
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    return 1 if arguments.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
