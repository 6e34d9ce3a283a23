"""Finds the programs that the benchmark runs and installs the missing ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SMG = "smg==1.13.0"
VLLM_ROUTER = "vllm-router==0.1.17"
RUST_GATEWAYS = {"smg": SMG, "vllm-router": VLLM_ROUTER}
# Both declare far more than a plain HTTP gateway imports; these are what they need to start.
RUST_GATEWAYS_NEED = ["setproctitle", "aiohttp", "orjson", "uvicorn", "fastapi"]
DEBIAN_PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}


def note(text):
    print(f"bench-gateway: {text}", file=sys.stderr)


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def find_tools(contenders, kvasir, venv, may_install, old=None):
    """{program: path} of everything found; a program that is missing and cannot be installed is left out."""
    tools = find_debian({"nginx", "wrk"} | ({"haproxy"} & set(contenders)), may_install)
    tools |= find_rust_gateways([name for name in contenders if name in RUST_GATEWAYS], venv, may_install)
    if "kvasir" in contenders and Path(kvasir).is_file():
        tools["kvasir"] = tools["keys"] = tools["off"] = str(Path(kvasir).resolve())
    if old and Path(old).is_file():
        tools["old"] = str(Path(old).resolve())
    return tools


def find_debian(programs, may_install):
    missing = sorted(program for program in programs if not find(program))
    if missing:
        install_debian([DEBIAN_PACKAGES[program] for program in missing], may_install)
    return {program: path for program in programs if (path := find(program))}


def install_debian(packages, may_install):
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    if not may_install or not shutil.which(command[0]):
        return note(f"missing; as root, run: apt-get install {' '.join(packages)}")
    note(f"installing {' '.join(packages)} with apt-get")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode:
        note(f"that failed; as root, run: apt-get update && apt-get install {' '.join(packages)}")


def find_rust_gateways(names, venv, may_install):
    venv = Path(venv).resolve()
    missing = [name for name in names if not (venv / "bin" / name).exists()]
    if missing and may_install:
        install_rust_gateways(missing, venv)
    return {name: str(venv / "bin" / name) for name in names if (venv / "bin" / name).exists()}


def install_rust_gateways(names, venv):
    packages = [RUST_GATEWAYS[name] for name in names]
    note(f"installing {' and '.join(packages)} from PyPI into {venv}")
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        if not (venv / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        # The needs come first: installed last, the gateways do not make pip complain about what they lack.
        subprocess.run([*pip, *RUST_GATEWAYS_NEED], check=True)
        subprocess.run([*pip, "--no-deps", *packages], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        note(f"that failed ({error}); going on without them")


def versions(tools):
    """{program: version} as each program tells it; what was pinned for the Rust gateways."""
    asked = {"nginx": ["-v"], "haproxy": ["-v"], "wrk": ["-v"], "kvasir": ["--version"],
             "old": ["--version"]}
    found = {name: first_line([tools[name], *flags]) for name, flags in asked.items() if name in tools}
    return found | {name: pin.partition("==")[2] for name, pin in RUST_GATEWAYS.items() if name in tools}


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"
