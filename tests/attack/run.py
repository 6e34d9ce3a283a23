#!/usr/bin/env python3
"""Attacks a gateway at full rate and watches what another client of it gets, and what memory it takes.

The gateway has one thread, on the first core; attacker, workers and the other client are on the second one, the attacker
with the least priority, so that the other client's latency is the gateway's and not that of a lost core. The other client
sends completions at a fixed rate; its latency counts from when a request was due. Passes when, under each attack, its p99 is
under 50 ms or twice that of the run without an attack, none of its requests fails, and the gateway takes less than 256 MiB more.
"""

import argparse
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import worker
from attacks import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 4
RATE = 50  # requests a second of the other client
P99_MOST_MS = 50
P99_MOST_TIMES = 2
MEMORY_MOST_MIB = 256
OVERTIME_SECONDS = 10  # what was not sent by then has failed
BODY = json.dumps({"model": "m", "prompt": "to be or not to be", "max_tokens": 1}).encode()
REQUEST = (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
           + str(len(BODY)).encode() + b"\r\nConnection: close\r\n\r\n" + BODY)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def on_core(core, nice, function, *arguments):
    def run():
        os.sched_setaffinity(0, {core})
        os.nice(nice)
        function(*arguments)
    process = multiprocessing.Process(target=run, daemon=True)
    process.start()
    return process


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def ask(port):
    """True when the answer is a 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(REQUEST)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def other_client(port, seconds, pipe):
    """Sends (latencies in ms, failures)."""
    begin, latencies, failures = time.monotonic(), [], 0
    for number in range(int(seconds * RATE)):
        due = begin + number / RATE
        if time.monotonic() > begin + seconds + OVERTIME_SECONDS:
            failures += int(seconds * RATE) - number
            break
        time.sleep(max(0, due - time.monotonic()))
        failures += not ask(port)
        latencies.append((time.monotonic() - due) * 1e3)
    pipe.send((latencies, failures))


def p99(latencies):
    return sorted(latencies)[int(len(latencies) * 0.99)]


class Gateway:
    def __init__(self, program, core, log):
        self.ports = [free_port() for _ in range(WORKERS)]
        self.port = free_port()
        self.log_end, log_write = os.pipe()  # nobody reads it: logging must not hold anything up
        urls = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        self.process = subprocess.Popen([program, "gateway", "--port", str(self.port), "--worker-urls", urls, "--threads", "1"],
                                        stderr=log_write, stdout=log, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        os.close(log_write)

    def wait_ready(self):
        for _ in range(100):
            if ask(self.port):
                return
            time.sleep(0.1)
        sys.exit("the gateway does not serve: " + os.read(self.log_end, 4096).decode())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return False
        return True


def measure(program, attack, seconds, cores, log):
    """{p99, failures, memory, ended}: one gateway of its own."""
    gateway = Gateway(program, cores[0], log)
    workers = [on_core(cores[1], 0, worker.run, port) for port in gateway.ports]
    try:
        gateway.wait_ready()
        before = most = resident_mib(gateway.process.pid)
        mine, theirs = multiprocessing.Pipe()
        attackers = [on_core(cores[1], 19, attack, gateway.port, time.monotonic() + seconds)] if attack else []
        client = on_core(cores[1], 0, other_client, gateway.port, seconds, theirs)
        while client.is_alive() and not mine.poll(0.05):
            most = max(most, resident_mib(gateway.process.pid))
        latencies, failures = mine.recv()
        for process in attackers:
            process.join(5)
            process.kill()
        return {"p99": p99(latencies), "failures": failures, "memory": most - before, "ended": gateway.stop()}
    finally:
        gateway.stop()
        os.close(gateway.log_end)
        for process in workers:
            process.kill()


def verdict(result, quiet):
    """What is wrong, or None."""
    if result["failures"]:
        return f"{result['failures']} requests of the other client failed"
    if result["p99"] > max(P99_MOST_MS, P99_MOST_TIMES * quiet["p99"]):
        return "its p99 is too high"
    if result["memory"] > MEMORY_MOST_MIB:
        return "the gateway took too much memory"
    return None if result["ended"] else "SIGTERM did not end the gateway"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--seconds", type=float, default=10, help="length of each attack (default: 10)")
    parser.add_argument("--only", choices=ATTACKS, action="append", help="this attack alone; may be repeated")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed")
    wrong = []
    with tempfile.TemporaryFile() as log:
        quiet = measure(arguments.kvasir, None, arguments.seconds, cores, log)
        print(f"{'attack':<20} {'p99 ms':>8} {'failed':>7} {'MiB more':>9}\n"
              f"{'none':<20} {quiet['p99']:8.1f} {quiet['failures']:7} {quiet['memory']:9.1f}", flush=True)
        for name in arguments.only or ATTACKS:
            result = measure(arguments.kvasir, ATTACKS[name], arguments.seconds, cores, log)
            problem = verdict(result, quiet)
            print(f"{name:<20} {result['p99']:8.1f} {result['failures']:7} {result['memory']:9.1f}"
                  f"{'   FAIL: ' + problem if problem else ''}", flush=True)
            wrong += [problem] if problem else []
    print("passed" if not wrong else f"{len(wrong)} attacks hurt")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
