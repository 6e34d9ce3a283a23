#!/usr/bin/env python3
"""Puts a real Envoy and `kvasir epp` in front of eight simulated workers and checks what clients see.

Envoy and grpcio come from PyPI into a virtual environment (--venv), made when it is missing. Every scenario starts a
picker and an Envoy of its own. Prints a table; exits with 1 when a scenario failed. What the picker cannot do yet is
"awaited": tried and shown, and counted as a failure only with --strict.
"""
import argparse
import dataclasses
import functools
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

import failure_scenarios as failure
import grpc_scenarios
import proxy_scenarios as proxy
import routing_scenarios as routing
from envoy_install import install_python
from world import ROOT, CheckFailed, World

AWAITED = {}


def in_shapes(scenario, shapes):
    """(name, what to call) of a scenario in each shape of Envoy."""
    return [(f"{scenario.__name__} [{shape.name()}]", functools.partial(scenario, shape=shape), scenario.__doc__)
            for shape in shapes]


def plain(*scenarios):
    return [(scenario.__name__, scenario, scenario.__doc__) for scenario in scenarios]


def all_scenarios():
    every = routing.SHAPES
    return [
        *in_shapes(routing.goes_where_it_was_sent, every),
        *in_shapes(routing.goes_where_it_was_sent, [routing.ENCRYPTED]),
        *in_shapes(routing.stream_is_intact, every),
        *in_shapes(routing.large_prompts, every),
        *in_shapes(routing.chunked_upload, every),
        *in_shapes(routing.many_at_once, every),
        *in_shapes(routing.model_is_rewritten, [routing.ORIGINAL_DST, routing.OVERRIDE_HOST, routing.BUFFERED]),
        *in_shapes(routing.client_does_not_steer, every),
        *in_shapes(routing.control_headers_are_removed, every),
        *in_shapes(routing.models_are_listed, every),
        *in_shapes(routing.bad_requests, routing.READS_BODIES),
        *in_shapes(routing.large_bodies_are_refused, [routing.ORIGINAL_DST, routing.BUFFERED, routing.STREAMED_AHEAD]),
        *in_shapes(routing.empty_bodies_pass, every),
        *in_shapes(routing.burst_spreads, every),
        *plain(routing.same_prompt_stays, routing.compressed_upload, routing.subset_is_kept,
               routing.every_worker_is_down, routing.filters_leave_nobody),
        *in_shapes(failure.retry_reaches_the_second, [with_retries(routing.OVERRIDE_HOST), with_retries(routing.BUFFERED)]),
        *in_shapes(failure.dead_worker_is_left_out, [routing.ORIGINAL_DST]),
        *in_shapes(failure.slow_upload_is_served, [routing.ORIGINAL_DST, routing.BUFFERED]),
        *in_shapes(failure.abandoned_uploads_are_forgotten, [routing.ORIGINAL_DST, routing.BUFFERED]),
        *in_shapes(failure.worker_dies_in_its_answer, [routing.ORIGINAL_DST, routing.BUFFERED]),
        *in_shapes(failure.killed_picker, [failure.DUPLEX_OPEN, failure.DUPLEX_CLOSED, failure.BUFFERED_OPEN,
                                           failure.BUFFERED_CLOSED]),
        *in_shapes(failure.picker_is_down, [failure.DUPLEX_CLOSED, failure.BUFFERED_OPEN, failure.BUFFERED_CLOSED]),
        *plain(failure.one_of_two_pickers_dies),
        *in_shapes(failure.stopping_picker_ends_its_streams, [routing.ORIGINAL_DST]),
        *in_shapes(failure.running_answers_count, every),
        *in_shapes(failure.dropped_answers_are_forgotten, [routing.ORIGINAL_DST, routing.BUFFERED]),
        *plain(proxy.proxies_share_a_burst, proxy.backend_label_chooses, proxy.log_tells_of_picks,
               grpc_scenarios.grpcio_talks_to_it),
    ]


def with_retries(shape):
    return dataclasses.replace(shape, retries=2)


def progress(text=""):
    """One line on stderr that overwrites itself; nothing where stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def attempt(scenario, world):
    """None, or what went wrong."""
    try:
        scenario(world)
    except CheckFailed as problem:
        return str(problem)
    except Exception:  # a scenario that breaks fails like one that is wrong
        return traceback.format_exc(limit=-3)
    return None


def run(scenarios, world, strict):
    failed = []
    for number, (name, scenario, sentence) in enumerate(scenarios, 1):
        progress(f"[{number}/{len(scenarios)}] {name}: {sentence}")
        began = time.monotonic()
        problem = attempt(scenario, world)
        progress()
        awaited = problem and not strict and AWAITED.get(name)
        result = "awaited" if awaited else "FAILED" if problem else "ok"
        print(f"{result:7} {time.monotonic() - began:6.1f} s  {name}", flush=True)
        if problem:
            print(f"          {sentence}\n          {awaited or problem}", flush=True)
        if problem and not awaited:
            failed.append(name)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--venv", type=Path, default=ROOT / "build/venv-envoy", help="virtual environment of Envoy")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--strict", action="store_true", help="what is awaited must work too")
    parser.add_argument("--list", action="store_true", help="what there is, without running it")
    arguments = parser.parse_args()
    scenarios = [entry for entry in all_scenarios() if arguments.only in entry[0]]
    if arguments.list:
        for name, _, sentence in scenarios:
            print(f"{name}\n    {sentence}")
        return 0
    python = install_python(arguments.venv)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="test-envoy-"))
        world = World(arguments.kvasir, arguments.venv / "bin/envoy", python, folder, stack)
        failed = run(scenarios, world, arguments.strict)
    print(f"{len(scenarios)} scenarios, {len(failed)} failed")
    return 1 if failed or not scenarios else 0


if __name__ == "__main__":
    sys.exit(main())
