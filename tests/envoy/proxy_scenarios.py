"""The plan that this project began with: spread a burst over proxies by the requests that each is working on."""
import re
import subprocess
import time

from routing_scenarios import Served
from world import ROOT, require

MODEL = "Qwen/Qwen3-Coder-30B-A3B-Instruct"
EXAMPLE = ROOT / "examples/epp_proxy_performance.yaml"
BY_BACKEND = ROOT / "examples/epp_proxy_performance_by_backend.yaml"
REQUESTS = 50
LOG_SECONDS = 5  # a log may be written a little later
BURST = """
seq 1 50 | xargs -n1 -P20 -I{} curl -s -o /dev/null \\
  -H 'Content-Type: application/json' \\
  -X POST http://127.0.0.1:PORT/v1/completions \\
  -d '{"model":"MODEL","prompt":"hello","max_tokens":8}'
"""
WANTED_LINES = re.compile(r"score|endpoint|picked|active-request", re.I)
REFUSED = re.compile(r"ResourceExhausted|rejected-", re.I)


def grep(log):
    return [line for line in log.read_text().splitlines() if WANTED_LINES.search(line)]


def by_backend():
    """The example as it stands, with the filter's old name: only endpoints with the label are left."""
    return BY_BACKEND.read_text().replace("type: label-selector-filter", "type: by-label-selector")


def scorer_only():
    return EXAMPLE.read_text()


def run_burst(world, config, look):
    """Sends the plan's burst to two proxies; calls look(front, {worker: requests served})."""
    with world.extra_workers(2, "--served-model-name", MODEL) as proxies:
        endpoints = [f"{proxies[0].name};role=proxy", f"{proxies[1].name};role=proxy;llm-d.ai/kv-backend=nvlink"]
        with world.front(config=config, endpoints=endpoints) as front, Served(proxies) as served:
            command = BURST.replace("PORT", str(front.port)).replace("MODEL", MODEL)
            subprocess.run(["bash", "-c", command], check=True, timeout=120, stderr=subprocess.DEVNULL)  # xargs warns
            passed = front.envoy.counters("http.front.downstream_rq_2xx")["http.front.downstream_rq_2xx"]
            require(int(passed) == REQUESTS, f"{passed} of {REQUESTS} requests got 200")
            require(sum(served.counts().values()) == REQUESTS, f"served: {served.counts()}")
            log = front.picker.log.read_text()
            require(not REFUSED.search(log), "the picker's log tells of a refusal:\n" + log[-1000:])
            look(front, [served.counts().get(proxy.name, 0) for proxy in proxies])


def proxies_share_a_burst(world):
    """50 requests, 20 at a time: both proxies serve, neither far more than the other, and none is refused."""
    def look(_, counts):
        require(min(counts) >= REQUESTS // 4, f"served: {counts}")
    run_burst(world, scorer_only(), look)


def backend_label_chooses(world):
    """With by-label-selector llm-d.ai/kv-backend=nvlink only the proxy with that label serves."""
    def look(_, counts):
        require(counts == [0, REQUESTS], f"served: {counts}")
    run_burst(world, by_backend(), look)


def log_tells_of_picks(world):
    """The picker's log shows scoring and picking: a line for each request that names the scorer and its endpoint."""
    def look(front, _):
        deadline = time.monotonic() + LOG_SECONDS
        while len(picks := [line for line in grep(front.picker.log) if "picked" in line and "active-request" in line]) < REQUESTS:
            require(time.monotonic() < deadline, f"{len(picks)} lines tell of picks: " + "\n".join(grep(front.picker.log)[-5:]))
            time.sleep(0.05)
    run_burst(world, scorer_only(), look)
