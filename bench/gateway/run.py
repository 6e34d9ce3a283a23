#!/usr/bin/env python3
"""Puts several gateways in front of the same eight answering ports and compares what a request costs in each."""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import install
import report
from contenders import CONTENDERS, Backend, Contender, StartFailed, wrong_reply
from workload import LoadFailed, wrk, write_bodies

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "bench"))

import old_and_new  # noqa: E402

WARM_UP_SECONDS = 2
NOT_FOUND = {"kvasir": "no such program: build it, or name it with --kvasir PATH", "old": "no such program: see --against PATH"}

EPILOG = """\
how to read the tables:
  CPU us/request   CPU time of the gateway's processes divided by the requests completed: the number that counts.
                   It hardly depends on how much of the machine the client and the workers take.
  low-high         the lowest and highest round; when they lie far apart, the machine was busy: run again.
  x nginx, x SMG   CPU per request divided by that of nginx (a plain hop) or SMG (a cache-aware gateway).
  requests/s       what was left of this machine for the gateway, with wrk and the workers beside it.
  p50, p99         latency of a closed loop with every connection always busy: mostly queueing, so it follows requests/s.
  errors           statuses of 400 and above, socket errors and timeouts, over all rounds.

examples:
  run.py                                    everything: three to four minutes
  run.py --sizes 200 --rounds 1             a quick look
  run.py --contenders smg,kvasir --check    only what the check needs
  run.py --contenders kvasir --against build/before/kvasir --check
                                            this program and an older one in turns: what a change costs
"""


def comma_list(convert):
    return lambda text: [convert(word) for word in text.split(",") if word]


def known_contender(name):
    if name not in CONTENDERS:
        raise argparse.ArgumentTypeError(f"no contender is called {name}; there are {', '.join(CONTENDERS)}")
    return name


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--kvasir", metavar="PATH", default=PROJECT / "build/release/kvasir",
        help="the kvasir program (default: build/release/kvasir); when it is missing the others run without it")
    add("--venv", metavar="DIR", default=PROJECT / "build/peers",
        help="virtual environment of SMG and vllm-router, made when missing (default: build/peers)")
    add("--contenders", metavar="A,B,...", type=comma_list(known_contender), default=list(CONTENDERS),
        help=f"who takes part (default: {','.join(CONTENDERS)})")
    add("--against", metavar="PATH", help="an older kvasir, which takes turns with the new one: prints the ratio of their CPU per "
        f"request with its 95 %% interval, and --check fails when that lies wholly above {old_and_new.LIMIT}")
    add("--sizes", metavar="N,...", type=comma_list(positive), default=[200, 20_000, 100_000],
        help="prompt sizes in tokens of about 4.5 bytes (default: 200,20000,100000)")
    add("--rounds", metavar="N", type=positive,
        help=f"how often each is measured; medians are shown (default: 3; {old_and_new.ROUNDS_LEAST} with --against)")
    add("--seconds", metavar="N", type=positive, default=4, help="length of one measurement (default: 4)")
    add("--connections", metavar="N", type=positive, default=16, help="connections of the client (default: 16)")
    add("--json", metavar="FILE", help="also write every number to FILE")
    add("--check", action="store_true",
        help="exit with status 1 unless kvasir's CPU per request is at most 1/5 of SMG's (1/4 above 20,000 tokens)")
    add("--no-install", action="store_true", help="use only what is installed: neither pip nor apt-get runs")
    options = parser.parse_args()
    options.contenders = [name for name in options.contenders if name != "old"] + (["old"] if options.against else [])
    options.rounds = options.rounds or (old_and_new.ROUNDS_LEAST if options.against else 3)
    return options


def progress(text=""):
    """One line on stderr that overwrites itself; one line each where stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def complain(name, problem, child=None):
    progress()
    print(f"bench-gateway: {name}: {problem}", file=sys.stderr)
    for line in child.log_tail() if child else []:
        print(f"    {line}", file=sys.stderr)


def start_backend(tools, directory, stack, body):
    backend = Backend(tools, directory)
    stack.callback(backend.child.stop)
    for port in backend.ports:
        wait_for_worker(backend, port, body)
    return backend


def wait_for_worker(backend, port, body):
    problem = None
    for _ in range(50):
        problem = wrong_reply(port, body)
        if problem is None:
            return
        time.sleep(0.1)
    complain("workers", problem, backend.child)
    sys.exit(2)


def start_contenders(names, tools, directory, backend, stack, body):
    """Starts every contender that is installed; says why one does not take part."""
    running = []
    for name in names:
        progress(f"starting {name}")
        if name not in tools:
            complain(name, f"{NOT_FOUND.get(name, 'it is not installed')}; going on without it")
            continue
        contender = Contender(name, tools, directory, backend)
        stack.callback(contender.child.stop)
        try:
            contender.wait_ready(body)
            running.append(contender)
        except StartFailed as error:
            complain(name, f"{error}; going on without it. Its last log lines:", contender.child)
            contender.child.stop()
    return running


def check_replies(contenders, body):
    """The contenders that pass a request of this size through correctly."""
    good = []
    for contender in contenders:
        problem = wrong_reply(contender.port, body)
        if problem:
            complain(contender.name, f"left out of this size: {problem}", contender.child)
        else:
            good.append(contender)
    return good


def measure(contender, wrk_program, bodies_file, connections, seconds):
    """One round; None, with a word on stderr, when the gateway or wrk broke down in it."""
    before = contender.child.cpu_seconds()
    try:
        numbers = wrk(wrk_program, contender.url, bodies_file, connections, seconds)
    except LoadFailed as error:
        return complain(contender.name, f"{error}. Its last log lines:", contender.child)
    if not contender.child.alive():
        return complain(contender.name, "it is gone. Its last log lines:", contender.child)
    return report.round_result(numbers, contender.child.cpu_seconds() - before)


def measure_size(tokens, contenders, tools, directory, options):
    """{name: [round, ...]}: warm-up, then rounds in which the contenders take turns."""
    bodies_file, body_bytes = write_bodies(directory, tokens)
    with bodies_file.open() as lines:
        contenders = check_replies(contenders, lines.readline().rstrip("\n"))
    for contender in contenders:
        progress(f"{tokens} tokens: warming up {contender.name}")
        measure(contender, tools["wrk"], bodies_file, options.connections, WARM_UP_SECONDS)
    rounds = {}
    for number in range(options.rounds):
        for contender in old_and_new.in_turn(contenders, number):
            progress(f"{tokens} tokens: round {number + 1} of {options.rounds}: {contender.name}")
            result = measure(contender, tools["wrk"], bodies_file, options.connections, options.seconds)
            if result:
                rounds.setdefault(contender.name, []).append(result)
    bodies_file.unlink()
    return rounds, body_bytes


def measure_all(options, tools):
    """[{tokens, body_bytes, rounds}, ...], printing each table as soon as it is there."""
    results = []
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-gateway-"))
        os.chmod(directory, 0o755)    # nginx started by root reads it as another user
        body = '{"model":"bench","prompt":"to be or not to be","max_tokens":16}'
        backend = start_backend(tools, directory, stack, body)
        contenders = start_contenders(options.contenders, tools, directory, backend, stack, body)
        for tokens in options.sizes:
            rounds, body_bytes = measure_size(tokens, contenders, tools, directory, options)
            results.append({"tokens": tokens, "body_bytes": body_bytes, "rounds": rounds,
                            "summary": {name: report.summary(list_) for name, list_ in rounds.items()}})
            print_table(results[-1], options)
    return results


def print_table(result, options):
    progress()
    if not result["summary"]:
        return print(f"\n{result['tokens']:,}-token prompts: nothing measured", flush=True)
    print(f"\n{result['tokens']:,}-token prompts ({result['body_bytes']:,} bytes), {options.connections} connections, "
          f"median of {options.rounds} x {options.seconds} s\n", flush=True)
    print(report.table(result["summary"]), flush=True)


def write_json(path, options, tools, results):
    settings = {key: getattr(options, key) for key in ("rounds", "seconds", "connections", "contenders")}
    content = {"settings": settings, "versions": install.versions(tools), "sizes": results}
    Path(path).write_text(json.dumps(content, indent=2) + "\n")


def against_old(results):
    """[(passed, sentence)] of each prompt size."""
    costs = [(result["tokens"], *([round_["cpu_us"] for round_ in result["rounds"].get(name, [])] for name in ("kvasir", "old")))
             for result in results]
    return [old_and_new.verdict(f"{tokens} tokens", new, old) for tokens, new, old in costs]


def print_check(results, options):
    """What was asked for is checked: against SMG where it takes part, against the older program where there is one."""
    verdicts = against_old(results) if options.against else []
    if "smg" in options.contenders or not options.against:
        verdicts = report.check({result["tokens"]: result["summary"] for result in results}) + verdicts
    print()
    for passed, sentence in verdicts:
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
    return all(passed for passed, _ in verdicts)


def main():
    options = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    tools = install.find_tools(options.contenders, options.kvasir, options.venv, not options.no_install, options.against)
    missing = [name for name in ("nginx", "wrk") if name not in tools]
    if missing:
        sys.exit(f"bench-gateway: cannot run without {' and '.join(missing)}")
    results = measure_all(options, tools)
    if not any(result["rounds"] for result in results):
        sys.exit("bench-gateway: nothing could be measured")
    if options.json:
        write_json(options.json, options, tools, results)
    if (options.check or options.against) and not print_check(results, options) and options.check:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        progress()
        sys.exit("bench-gateway: interrupted")
