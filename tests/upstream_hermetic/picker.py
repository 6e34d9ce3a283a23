"""`kvasir epp` over endpoints that show the metrics a case asks for, and ext_proc streams to it."""
import http.server
import json
import re
import socket
import subprocess
import threading
import time
import urllib.request

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

SECONDS = 20
DESTINATION = "x-gateway-destination-endpoint"


def free_port(host="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Pod:
    """What upstream calls 192.168.1.N:8000 answers health checks and shows metrics on 127.0.9.N."""

    def __init__(self, index, queue=0, kv=0.0, models=(), labels=None):
        self.upstream = f"192.168.1.{index + 1}:8000"
        self.name, self.labels, self.queue = f"pod-{index}", labels or {}, queue
        page = (f"vllm:num_requests_waiting {queue}\nvllm:num_requests_running 0\nvllm:kv_cache_usage_perc {kv}\n"
                f'vllm:lora_requests_info{{max_lora="0",running_lora_adapters="{",".join(models)}",'
                f'waiting_lora_adapters=""}} 1\n').encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((f"127.0.9.{index + 1}", 0), Handler)
        self.host, self.port = self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Picker:
    def __init__(self, kvasir, folder, pods, config, objectives, pool, flags=()):
        self.pods = pods
        endpoints = {"endpoints": [{"name": pod.name, "address": pod.host, "port": pod.port, "labels": pod.labels}
                                   for pod in pods]}
        (folder / "endpoints.yaml").write_text(json.dumps(endpoints))
        (folder / "config.yaml").write_text(config)
        self.port, self.metrics_port = free_port(), free_port()
        self.log = folder / "log"
        command = [kvasir, "epp", "--host", "127.0.0.1", "--grpc-port", self.port, "--grpc-health-port", free_port(),
                   "--metrics-port", self.metrics_port, "--secure-serving=false", "--allow-experimental-plugins",
                   "--endpoints-file", folder / "endpoints.yaml", "--config-file", folder / "config.yaml",
                   "--pool-name", pool, "--threads", 1, *flags]
        if objectives:
            command += ["--objectives", ",".join(f"{name}={priority}" for name, priority in objectives.items())]
        with open(self.log, "w") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output)
        self.wait()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = rpc.ExternalProcessorStub(self.channel)

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def wait(self):
        """Until every pod is healthy and its metrics were read."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"kvasir epp does not start: {self.log.read_text()[-600:]}")
            try:
                page = self.page()
                if all(f'model_server_endpoint="{pod.name}"}} {pod.queue}\n' in page for pod in self.pods):
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"kvasir epp does not read its pods: {self.log.read_text()[-600:]}")

    def close(self):
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def translate(self, text):
        """Upstream's addresses in ours."""
        for pod in self.pods:
            text = text.replace(pod.upstream, f"{pod.host}:{pod.port}")
        return text

    def stream(self):
        return Stream(self)


def header_map(headers):
    return base_pb2.HeaderMap(headers=[base_pb2.HeaderValue(key=key, raw_value=value.encode())
                                       for key, value in headers.items()])


class Stream:
    """One ext_proc stream. Answers come as (kind, ...) in the words of builders.py."""

    def __init__(self, picker):
        self.picker, self.sent, self.wake, self.open = picker, [], threading.Condition(), True
        self.call = picker.stub.Process(self.requests(), timeout=SECONDS)
        self.headers = {}

    def requests(self):
        at = 0
        while True:
            with self.wake:
                self.wake.wait_for(lambda: len(self.sent) > at or not self.open)
                if len(self.sent) <= at:
                    return
                message = self.sent[at]
            at += 1
            yield message

    def send(self, kind, content, end, subset=None):
        if kind.endswith("headers"):
            self.headers = dict(content)
            message = pb.ProcessingRequest(**{kind: pb.HttpHeaders(headers=header_map(content), end_of_stream=end)})
        else:
            message = pb.ProcessingRequest(**{kind: pb.HttpBody(body=content, end_of_stream=end)})
        if subset is not None:
            hint = message.metadata_context.filter_metadata["envoy.lb.subset_hint"]
            hint.update({DESTINATION + "-subset": [self.picker.translate(entry) for entry in subset]})
        with self.wake:
            self.sent.append(message)
            self.wake.notify_all()

    def next(self):
        return next(self.call)

    def cancel(self):
        with self.wake:
            self.open = False
            self.wake.notify_all()
        self.call.cancel()


def set_headers(mutation):
    return {option.header.key.lower(): option.header.raw_value.decode() or option.header.value
            for option in mutation.set_headers}


def metadata_of(answer):
    return answer.dynamic_metadata.fields["envoy.lb"].struct_value.fields


def counts(page, line):
    """Whether the page has the sample, whatever the order of its labels."""
    def parts(text):
        name, _, rest = text.partition("{")
        labels, _, value = rest.rpartition("}")
        return name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)
    wanted = parts(line)
    return any(parts(sample) == wanted for sample in page.splitlines() if sample.startswith(wanted[0] + "{"))
