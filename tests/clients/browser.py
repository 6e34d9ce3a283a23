#!/usr/bin/env python3
"""A page in a real browser calls the gateway from another origin: fetch with SSE, by CORS of flags and of routes.

Starts a simulated worker, two gateways and a server for one page, opens the page in Debian's Chromium without a
window, and waits for what the page says it got. Exits with 1 when a check fails.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from run import CheckFailed, ROOT, free_port, install_debian, require

BROWSER_SECONDS = 90
READY_SECONDS = 60
TOKENS = 20

PAGE = """<!doctype html><title>CORS</title><script>
const TARGETS = %s;
async function call(url) {
  const answer = await fetch(url + "/v1/chat/completions", {
    method: "POST",
    headers: {"Content-Type": "application/json", "Authorization": "Bearer test", "x-request-id": "from-a-page"},
    body: JSON.stringify({model: "some/model", stream: true, max_tokens: %d,
                          messages: [{role: "user", content: "hi"}]})});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const got = {status: answer.status, reads: 0, text: "", id: answer.headers.get("x-request-id"),
               pod: answer.headers.get("x-selected-pod"), type: answer.headers.get("content-type")};
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return got;
    got.reads += 1;
    got.text += value;
  }
}
async function all() {
  const results = {};
  for (const [name, url] of Object.entries(TARGETS)) {
    results[name] = await call(url).catch(error => ({error: String(error)}));
  }
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
}
all();
</script>"""

ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool}
spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: WORKER}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {value: /pool}}]
    filters:
    - {type: CORS, cors: {allowOrigins: ["ORIGIN"], allowHeaders: ["*"], allowCredentials: true, exposeHeaders: ["*"]}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
  - matches: [{path: {value: /service}}]
    filters:
    - {type: CORS, cors: {allowOrigins: ["http://*:PAGE_PORT"], allowHeaders: [content-type, authorization, x-request-id]}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /others}}]
    filters:
    - {type: CORS, cors: {allowOrigins: ["https://somebody.else"], allowHeaders: ["*"]}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    backendRefs: [{name: web, port: 80}]
"""


class PageServer:
    """Gives out the page, and takes what it says in the end."""

    def __init__(self):
        self.results = None
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802: http.server's name
                self.answer(outer.page.encode(), "text/html")

            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.results = json.loads(body)
                self.answer(b"", "text/plain")
                outer.done.set()

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *unused):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.page = ""
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def wait_for(url):
    command = ["curl", "-sf", "-o", "/dev/null", "--retry", str(READY_SECONDS * 5), "--retry-delay", "0",
               "--retry-all-errors", "--retry-max-time", str(READY_SECONDS), url]
    require(subprocess.run(command, check=False).returncode == 0, f"{url} does not answer")


def browse(url, done):
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
        with open(Path(profile) / "log", "w") as log:
            browser = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                require(done.wait(BROWSER_SECONDS), "the page did not say what it got")
            finally:
                browser.kill()
                browser.wait()


def check_stream(name, got):
    require("error" not in got, f"{name}: {got}")
    require(got["status"] == 200 and got["type"].startswith("text/event-stream"), f"{name}: {got}")
    require(got["text"].rstrip().endswith("data: [DONE]"), f"{name}: {got['text'][-200:]}")
    require(got["text"].count("data: ") > TOKENS, f"{name}: {got['text']}")
    require(got["reads"] > TOKENS / 2, f"{name}: came in {got['reads']} pieces: it is no stream")
    require(got["id"] == "from-a-page", f"{name}: a page cannot read x-request-id")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir")
    kvasir = parser.parse_args().kvasir
    if shutil.which("chromium") is None:
        install_debian(["chromium"])
    server = PageServer()
    origin = f"http://127.0.0.1:{server.port}"
    worker, by_flags, by_routes = free_port(), free_port(), free_port()
    server.page = PAGE % (json.dumps({
        "flags": f"http://127.0.0.1:{by_flags}",
        "pool": f"http://127.0.0.1:{by_routes}/pool",
        "service": f"http://127.0.0.1:{by_routes}/service",
        "others": f"http://127.0.0.1:{by_routes}/others",
        "worker": f"http://127.0.0.1:{worker}"}), TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        routes = Path(folder) / "routes.yaml"
        routes.write_text(ROUTES.replace("WORKER", str(worker)).replace("ORIGIN", origin)
                          .replace("PAGE_PORT", str(server.port)))
        gateway = [str(kvasir), "gateway", "--threads", "1", "--worker-urls", f"http://127.0.0.1:{worker}"]
        commands = [
            [str(kvasir), "worker", "some/model", "--host", "127.0.0.1", "--port", str(worker)],
            gateway + ["--port", str(by_flags), "--cors-origin", origin],
            gateway + ["--port", str(by_routes), "--routes", str(routes)]]
        with open(Path(folder) / "log", "w+") as log:
            processes = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
            try:
                wait_for(f"http://127.0.0.1:{worker}/health")
                wait_for(f"http://127.0.0.1:{by_flags}/health")
                wait_for(f"http://127.0.0.1:{by_routes}/health")
                browse(f"{origin}/", server.done)
            except CheckFailed:
                log.seek(0)
                print(log.read()[-4000:])
                raise
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
    results = server.results
    for name in ("flags", "pool", "service"):
        check_stream(name, results[name])
    require(results["flags"]["pod"] == f"127.0.0.1:{worker}", f"x-selected-pod: {results['flags']['pod']}")
    for name in ("others", "worker"):
        require("error" in results[name], f"{name}: a page of an origin that is not allowed got {results[name]}")
    version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"{version}: streams of {results['flags']['reads']}, {results['pool']['reads']} and "
          f"{results['service']['reads']} pieces by flags, pool and Service; refused: "
          f"{results['others']['error']}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckFailed as failed:
        print(f"FAILED: {failed}")
        sys.exit(1)
