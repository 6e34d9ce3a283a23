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

import exact_knowledge
import install
import report
from contenders import CONTENDERS, TEXT_ONLY, Backend, Contender, StartFailed, wrong_reply
from workload import KINDS, LoadFailed, bodies, load_name, wrk, write_bodies

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
  run.py --contenders nginx,smg,kvasir --kv-events --check
                                            the same limits for a gateway that hears the workers' KV events
"""


def comma_list(convert):
    return lambda text: [convert(word) for word in text.split(",") if word]


def known_contender(name):
    if name not in CONTENDERS:
        raise argparse.ArgumentTypeError(f"no contender is called {name}; there are {', '.join(CONTENDERS)}")
    return name


def known_kind(name):
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"prompts are {' or '.join(KINDS)}, not {name}")
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
    add("--contenders", metavar="A,B,...", type=comma_list(known_contender), default=[name for name in CONTENDERS if name != "keys"],
        help=f"who takes part (default: {','.join(CONTENDERS)})")
    add("--against", metavar="PATH", help="an older kvasir, which takes turns with the new one: prints the ratio of their CPU per "
        f"request with its 95 %% interval, and --check fails when that lies wholly above {old_and_new.LIMIT}")
    add("--keys", action="store_true", help="'keys' is the same kvasir that asks for API keys, keeps a tenant within limits and writes an "
        "access log")
    add("--kv-events", action="store_true", help="engines publish KV events for the workers, and kvasir hears them: it knows by "
        "tokens what each worker's cache has. 'off' is the same program that does not hear them; --against OLD does not either")
    add("--prompts", metavar="A,B", type=comma_list(known_kind),
        help="text, ids (token ids) or both (default: text; with --kv-events text,ids); "
        f"{' and '.join(TEXT_ONLY)} refuse ids and get the text of as many tokens")
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
    if options.kv_events and "kvasir" not in options.contenders:
        parser.error("--kv-events needs kvasir among the contenders")
    if options.keys:
        options.contenders.append("keys")
    more = {"off": options.kv_events, "old": options.against}
    options.contenders = [name for name in options.contenders if name not in more] + [name for name in more if more[name]]
    options.prompts = options.prompts or (KINDS if options.kv_events else KINDS[:1])
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


def check_replies(contenders, load):
    """The contenders that pass a request of this size through correctly."""
    good = []
    for contender in contenders:
        problem = wrong_reply(contender.port, load.first_body(contender), contender.fields)
        if problem:
            complain(contender.name, f"left out of this size: {problem}", contender.child)
        else:
            good.append(contender)
    return good


def measure(contender, wrk_program, bodies_file, connections, seconds):
    """One round; None, with a word on stderr, when the gateway or wrk broke down in it."""
    before = contender.child.cpu_seconds()
    try:
        numbers = wrk(wrk_program, contender.url, bodies_file, connections, seconds, contender.fields)
    except LoadFailed as error:
        return complain(contender.name, f"{error}. Its last log lines:", contender.child)
    if not contender.child.alive():
        return complain(contender.name, "it is gone. Its last log lines:", contender.child)
    return report.round_result(numbers, contender.child.cpu_seconds() - before)


class Load:
    """The bodies of one prompt size, for contenders that know token ids and for those that do not."""

    def __init__(self, directory, tokens, kind):
        self.name, self.tokens, self.kind = load_name(tokens, kind), tokens, kind
        self.files = {which: write_bodies(directory, load_name(tokens, which), bodies(tokens, which)) for which in {"text", kind}}

    def file(self, contender):
        return self.files["text" if contender.name in TEXT_ONLY else self.kind][0]

    def first_body(self, contender):
        with self.file(contender).open() as lines:
            return lines.readline().rstrip("\n")

    def body_bytes(self):
        return self.files[self.kind][1]

    def remove(self):
        for path, _ in self.files.values():
            path.unlink()


def measure_load(load, contenders, tools, options):
    """{name: [round, ...]}: warm-up, then rounds in which the contenders take turns."""
    contenders = check_replies(contenders, load)
    for contender in contenders:
        progress(f"{load.name}: warming up {contender.name}")
        measure(contender, tools["wrk"], load.file(contender), options.connections, WARM_UP_SECONDS)
    rounds = {}
    for number in range(options.rounds):
        for contender in old_and_new.in_turn(contenders, number):
            progress(f"{load.name}: round {number + 1} of {options.rounds}: {contender.name}")
            result = measure(contender, tools["wrk"], load.file(contender), options.connections, options.seconds)
            if result:
                rounds.setdefault(contender.name, []).append(result)
    return rounds


def measure_exactly(load, contenders, tools, options, engines):
    """The rounds, and with engines whether kvasir knew what it was to know: (passed, sentence)."""
    knowing = next((contender for contender in contenders if contender.name == "kvasir"), None)
    try:
        with exact_knowledge.watch(engines, knowing, load.tokens, load.kind) as exact:
            return measure_load(load, contenders, tools, options), exact
    except exact_knowledge.NotExact as problem:
        complain("kvasir", problem, knowing.child)
        sys.exit(2)


def measure_all(options, tools):
    """[{name, tokens, prompts, body_bytes, rounds, summary, exact}, ...], printing each table as soon as it is there."""
    results, engines = [], None
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-gateway-"))
        os.chmod(directory, 0o755)    # nginx started by root reads it as another user
        body = '{"model":"bench","prompt":"to be or not to be","max_tokens":16}'
        backend = start_backend(tools, directory, stack, body)
        if options.kv_events and "kvasir" in tools:
            engines = exact_knowledge.start(tools, directory, stack, backend, options.sizes, progress)
            tools = tools | {"kv_flags": engines.flags()}
        contenders = start_contenders(options.contenders, tools, directory, backend, stack, body)
        for tokens, kind in ((tokens, kind) for tokens in options.sizes for kind in options.prompts):
            load = Load(directory, tokens, kind)
            rounds, exact = measure_exactly(load, contenders, tools, options, engines)
            results.append({"name": load.name, "tokens": tokens, "prompts": kind, "body_bytes": load.body_bytes(), "rounds": rounds,
                            "summary": {name: report.summary(list_) for name, list_ in rounds.items()}, "exact": exact.verdict})
            print_table(results[-1], options)
            load.remove()
    return results


def print_table(result, options):
    progress()
    if not result["summary"]:
        return print(f"\nPrompts of {result['name']}: nothing measured", flush=True)
    print(f"\nPrompts of {result['name']} ({result['body_bytes']:,} bytes), {options.connections} connections, "
          f"median of {options.rounds} x {options.seconds} s\n", flush=True)
    print(report.table(result["summary"]), flush=True)
    with_texts = [name for name in TEXT_ONLY if name in result["summary"] and result["prompts"] == "ids"]
    if with_texts:
        print(f"\n{' and '.join(with_texts)}: with the texts of these tokens", flush=True)


def write_json(path, options, tools, results):
    settings = {key: getattr(options, key) for key in ("rounds", "seconds", "connections", "contenders", "kv_events")}
    content = {"settings": settings, "versions": install.versions(tools), "sizes": results}
    Path(path).write_text(json.dumps(content, indent=2) + "\n")


def print_check(results, options):
    """What was asked for is checked: against SMG where it takes part, against the older program where there is one."""
    verdicts = old_and_new.verdicts(results, "cpu_us", options) + [result["exact"] for result in results if result["exact"]]
    if "smg" in options.contenders or not options.against:
        verdicts = report.check(results) + verdicts
    print()
    for passed, sentence in verdicts:
        print(f"{'pass' if passed else 'FAIL'}  {sentence}")
    for sentence in old_and_new.prices(results, "cpu_us", options):
        print(f"      {sentence}")
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
    if (options.check or options.against or options.kv_events) and not print_check(results, options) and options.check:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        progress()
        sys.exit("bench-gateway: interrupted")
