#!/usr/bin/env python3
"""Holds Kvasir against a real Kubernetes on this machine.

  tests/kube/run.py                 API server, controllers, scheduler; nodes by KWOK, pods are processes of this machine
  tests/kube/run.py --node          and a real node: containerd, kubelet, kube-proxy, cluster DNS

Each case has a namespace of its own. One line a case; exits with 1 when one failed. Where Kubernetes' programs are
missing nothing is tried, and the command that builds them is printed (exit 0, or 1 with --strict). Needs root: pods have
addresses of their own (10.244.N.0/24 on lo, and for a node namespaces and 10.240.0.0/30, 10.244.0.0/16, 10.96.0.0/16).
"""
import argparse
import contextlib
import importlib
import inspect
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import binaries  # noqa: E402 (our own folder first)
from checks import CheckFailed, Skipped  # noqa: E402
from machine import ROOT  # noqa: E402
from node import missing_packages  # noqa: E402
from world import NodeWorld, World  # noqa: E402


def is_case(item, module):
    return (inspect.isfunction(item) and item.__module__ == module.__name__ and not item.__name__.startswith("_")
            and list(inspect.signature(item).parameters) == ["namespace"])


def cases_of(folder):
    """(name, function) of all functions of one parameter, `namespace`, in the folder's files, in the order written."""
    found = []
    for path in sorted((HERE / folder).glob("*.py")):
        module = importlib.import_module(f"{folder}.{path.stem}")
        found += [(f"{path.stem}.{name}", item) for name, item in vars(module).items() if is_case(item, module)]
    return found


def attempt(case, world):
    """(result, what to tell): ok, skipped or FAILED."""
    try:
        with world.namespace() as namespace:
            told = case(namespace)
        return "ok", told or ""
    except Skipped as reason:
        return "skipped", str(reason)
    except CheckFailed as problem:
        return "FAILED", str(problem)
    except Exception:  # a case that breaks fails like one that is wrong
        return "FAILED", traceback.format_exc(limit=-4)


def run(cases, world):
    results = []
    for name, case in cases:
        began = time.monotonic()
        result, told = attempt(case, world)
        results.append(result)
        print(f"{result:7} {time.monotonic() - began:6.1f} s  {name}", flush=True)
        for line in (case.__doc__.strip().splitlines() if result == "FAILED" else []) + told.splitlines():
            print(f"                  {line}", flush=True)
    return results


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", action="store_true", help="the cases that need a real node")
    parser.add_argument("--kvasir", type=pathlib.Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--envoy", type=pathlib.Path, default=ROOT / "build/venv-envoy/bin/envoy",
                        help="made by make test-envoy; cases that need it are skipped without")
    parser.add_argument("--crds", type=pathlib.Path, default=ROOT / "deploy/crds",
                        help="a folder of the definitions of our kinds (default: deploy/crds)")
    parser.add_argument("--images", type=pathlib.Path, nargs="*", default=[],
                        help="with --node: archives of images to import beside that of --kvasir, as docker save writes them")
    parser.add_argument("--llm-d-charts", type=pathlib.Path,
                        help="with --node: llm-d-router's folder config/charts, for the cases that render them")
    parser.add_argument("--up", action="store_true", help="run no cases: keep the cluster until Ctrl-C")
    parser.add_argument("--only", default="", help="only cases with this in their name")
    parser.add_argument("--list", action="store_true", help="what there is, without running it")
    parser.add_argument("--strict", action="store_true", help="what is skipped counts as failed")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where")
    return parser.parse_args()


def missing(options):
    """Why nothing can be tried here; empty: it can."""
    names = binaries.missing(binaries.NODE if options.node else binaries.CONTROL_PLANE)
    tools = [tool for tool in ("openssl", "ip", "setpriv") if not shutil.which(tool)]
    packages = missing_packages() if options.node else []
    if names:
        return f"there is no {', '.join(names)} in {binaries.folder()}/bin. This builds it:\n  {binaries.BUILD} {' '.join(names)}"
    if tools or packages:
        return f"missing: {' '.join(tools + packages)}. This installs it:\n  make/install_packages.sh tests/kube/packages.txt"
    if os.geteuid() != 0:
        return "this needs root: pods have addresses of their own"
    return ""


def stay_up(world):
    print(f"export KUBECONFIG={world.plane.kubeconfig} PATH={binaries.folder()}/bin:$PATH\nuntil Ctrl-C", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    return 0


def main():
    options = arguments()
    cases = [case for case in cases_of("node_cases" if options.node else "cases") if options.only in case[0]]
    if options.list:
        for name, case in cases:
            print(f"{name}\n    {case.__doc__.strip()}")
        return 0
    reason = missing(options)
    if reason:
        print(f"skipped: all {len(cases)} cases: {reason}")
        return 1 if options.strict else 0
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then, too
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="test-kube-"))
        if options.keep:
            print(f"logs: {folder}")
        else:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        world = (NodeWorld if options.node else World)(folder, options, stack)
        print(f"the cluster is up after {time.monotonic() - began:.1f} s", flush=True)
        if options.up:
            return stay_up(world)
        results = run(cases, world)
    count = {result: results.count(result) for result in ("ok", "skipped", "FAILED")}
    print(f"{len(cases)} cases: {count['ok']} ok, {count['skipped']} skipped, {count['FAILED']} failed")
    return 1 if count["FAILED"] or not cases or (options.strict and count["skipped"]) else 0


if __name__ == "__main__":
    sys.exit(main())
