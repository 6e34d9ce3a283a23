#!/usr/bin/env python3
"""Clients with API keys against `kvasir gateway --keys`: OpenAI's for Python and Node, and Anthropic's.

Starts a simulated worker, a small server that speaks Anthropic's Messages API, and a gateway before each; makes the keys with
`kvasir keys`, runs the clients, and looks for the keys in everything that the gateways wrote. Clients come from PyPI into --venv and from
npm into --node (left out where there is no npm). Exits with 1 when a check fails.
"""
import argparse
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from run import HERE, ROOT, CheckFailed, free_port, require, run

PYTHON_PACKAGES = ["openai", "anthropic"]
READY_SECONDS = 30


class MessagesWorker(http.server.BaseHTTPRequestHandler):
    """Answers "hello", streamed or not, and never wants a key."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._send(200, "text/plain", b"")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("x-api-key") or self.headers.get("authorization"):
            return self._send(500, "text/plain", b"the client's key came through")
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        usage = {"input_tokens": 3, "output_tokens": 1}
        if not body.get("stream"):
            message |= {"content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "usage": usage}
            return self._send(200, "application/json", json.dumps(message).encode())
        events = [{"type": "message_start", "message": message | {"content": [], "stop_reason": None, "usage": usage}},
                  {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                  {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
                  {"type": "content_block_stop", "index": 0},
                  {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}},
                  {"type": "message_stop"}]
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return self._send(200, "text/event-stream", text.encode())

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Processes:
    """What was started, with a log file each."""

    def __init__(self, kvasir, folder):
        self.kvasir, self.folder, self.running = str(kvasir), folder, []

    def start(self, name, *arguments):
        port = free_port()
        with open(self.folder / f"{name}.log", "w") as log:
            self.running.append(subprocess.Popen([self.kvasir, *arguments, "--port", str(port)], stdout=log, stderr=log))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            require(self.running[-1].poll() is None, f"{name} ended early: {(self.folder / f'{name}.log').read_text()}")
            try:
                with urllib.request.urlopen(url + "/health", timeout=2):
                    return url
            except OSError:
                time.sleep(0.05)
        raise CheckFailed(f"{name} did not answer in time")

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(timeout=30)


def new_key(kvasir, file, *flags):
    made = subprocess.run([str(kvasir), "keys", "new", *flags], capture_output=True, text=True, check=True)
    with open(file, "a") as keys:
        keys.write(made.stdout)
    return made.stderr.strip()


def install_python(venv):
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    if subprocess.run([str(python), "-c", "import openai, anthropic"], capture_output=True).returncode != 0:
        print(f"installing {', '.join(PYTHON_PACKAGES)} into {venv}", flush=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PYTHON_PACKAGES], check=True)
    return python


def install_node(folder):
    """Its script beside the package: modules are looked up from there. None: there is no npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "openai").exists():
        print(f"installing openai for Node into {folder}", flush=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "openai"], check=True)
    return shutil.copy(HERE / "keys_client.mjs", folder)


def check_clients(arguments, processes, python, node):
    folder = processes.folder
    keys = {}
    for name in ("python", "node"):
        keys[name] = new_key(arguments.kvasir, folder / f"{name}.yaml", "--tenant", "wide")
        keys[f"{name}-narrow"] = new_key(arguments.kvasir, folder / f"{name}.yaml", "--tenant", "narrow",
                                         "--requests-per-minute", "1", "--models", "sim")
    worker = processes.start("worker", "worker", "sim", "--host", "127.0.0.1", "--time-scale", "20")
    messages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MessagesWorker)
    threading.Thread(target=messages.serve_forever, daemon=True).start()

    def gateway(name, keys_of, upstream):
        return processes.start(f"gateway-{name}", "gateway", "--worker-urls", upstream, "--keys", folder / f"{keys_of}.yaml",
                               "--access-log", folder / f"access-{name}.log", "--log-level", "debug")
    openai_url = gateway("openai", "python", worker)
    anthropic_url = gateway("anthropic", "python", f"http://127.0.0.1:{messages.server_port}")
    print(run([str(python), str(HERE / "keys_client.py"), "--openai", openai_url, "--anthropic", anthropic_url,
               "--key", keys["python"], "--narrow-key", keys["python-narrow"]]), end="", flush=True)
    if node is None:
        print("openai for Node: left out, npm is not there")
    else:
        url = gateway("node", "node", worker)
        print(run(["node", node, url, keys["node"], keys["node-narrow"]]), end="", flush=True)
    return keys.values()


def check_nothing_was_written(folder, keys):
    written = list(folder.glob("*.log"))
    for file in written:
        text = file.read_text()
        require(not any(key in text for key in keys), f"a key stands in {file.name}")
    print(f"no key in {len(written)} logs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--venv", type=Path, default=ROOT / "build/keys_clients", help="virtual environment of the Python clients")
    parser.add_argument("--node", type=Path, default=ROOT / "build/keys_node", help="where npm installs")
    arguments = parser.parse_args()
    python, node = install_python(arguments.venv), install_node(arguments.node)
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(arguments.kvasir, Path(folder))
        try:
            keys = check_clients(arguments, processes, python, node)
            processes.stop()
            check_nothing_was_written(Path(folder), keys)
        except (CheckFailed, subprocess.SubprocessError) as problem:
            print(f"FAILED: {problem}", file=sys.stderr)
            return 1
        finally:
            for process in processes.running:
                process.kill()
    print("all clients passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
