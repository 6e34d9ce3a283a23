#!/usr/bin/env python3
"""`kvasir controller` and the real Envoy that it programs, beside `kvasir gateway`.

Envoy comes from PyPI into a virtual environment (--venv), made when it is missing. Scenarios: see --list.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/envoy"))
from envoy_install import install_python  # noqa: E402


def with_yaml(venv):
    """Starts this program again by the environment's Python, which has PyYAML."""
    python = install_python(venv)
    if Path(sys.prefix).resolve() != venv.resolve():
        if subprocess.run([python, "-c", "import yaml"], capture_output=True).returncode:
            subprocess.run([python, "-m", "pip", "install", "-q", "pyyaml"], check=True)
        os.execv(python, [str(python), *sys.argv])


def attempt(scenario, world):
    """None, or what went wrong."""
    try:
        scenario(world)
    except AssertionError as problem:
        return str(problem)
    except Exception:  # a scenario that breaks fails like one that is wrong
        return traceback.format_exc(limit=-3)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--venv", type=Path, default=ROOT / "build/venv-envoy", help="virtual environment of Envoy")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--list", action="store_true", help="what there is, without running it")
    parser.add_argument("--keep", type=Path, help="keep the files of the programs in this folder")
    arguments = parser.parse_args()
    with_yaml(arguments.venv)
    from scenarios import World, all_scenarios
    chosen = [entry for entry in all_scenarios() if arguments.only in entry[0]]
    if arguments.list:
        for name, scenario in chosen:
            print(f"{name}\n    {scenario.__doc__}")
        return 0
    failed = []
    with tempfile.TemporaryDirectory(prefix="test-controller-") as temporary:
        folder = arguments.keep or Path(temporary)
        for name, scenario in chosen:
            began = time.monotonic()
            problem = attempt(scenario, World(arguments.kvasir, arguments.venv / "bin/envoy", folder / name))
            print(f"{'FAILED' if problem else 'ok':6} {time.monotonic() - began:6.1f} s  {name}", flush=True)
            if problem:
                failed.append(name)
                print(f"    {problem}", flush=True)
    print(f"{len(chosen)} scenarios, {len(failed)} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
