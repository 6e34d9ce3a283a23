"""Requests as clients send them: whole, in chunks, compressed, half and then the rest; and answers as they arrive."""
import gzip
import http.client
import json
import time
from dataclasses import dataclass, field

MODEL = "Qwen/Qwen3-32B"
TIMEOUT_SECONDS = 60


@dataclass
class Answer:
    status: int
    headers: dict  # lower-case names
    body: bytes
    pieces: list = field(default_factory=list)  # (seconds since the request was sent, bytes)
    seconds: float = 0.0

    def served(self):
        """HOST:PORT that Envoy sent the request to."""
        return self.headers.get("x-envoy-served", "-")

    def picked(self):
        """What the picker had told Envoy."""
        return self.headers.get("x-envoy-picked", "-")

    def reason(self):
        return self.headers.get("x-llm-d-request-dropped-reason")


def completion(prompt="to be or not to be", tokens=4, stream=False, **more):
    return {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "stream": stream, **more}


def words(count):
    """A prompt of about that many tokens."""
    return "word " * count


def post(port, body, headers=None, host="127.0.0.1", path="/v1/completions", encode=None):
    """Sends one completion on a connection of its own. `encode`: gzip or chunked."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", **(headers or {})}
    if encode == "gzip":
        raw = gzip.compress(raw)
        fields["Content-Encoding"] = "gzip"
    data = iter([raw[at:at + 10_000] for at in range(0, len(raw), 10_000)]) if encode == "chunked" else raw
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        began = time.monotonic()
        connection.request("POST", path, data, fields, encode_chunked=encode == "chunked")
        return read_answer(connection, began)
    finally:
        connection.close()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        began = time.monotonic()
        connection.request("GET", path)
        return read_answer(connection, began)
    finally:
        connection.close()


def read_answer(connection, began):
    response = connection.getresponse()
    pieces = []
    while piece := response.read1(1 << 20):
        pieces.append((time.monotonic() - began, piece))
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()},
                  b"".join(piece for _, piece in pieces), pieces, time.monotonic() - began)


class HalfSent:
    """A completion whose upload stands still half way."""

    def __init__(self, port, body):
        raw = json.dumps(body).encode()
        self.rest = raw[len(raw) // 2:]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self.connection.putrequest("POST", "/v1/completions")
        self.connection.putheader("Content-Type", "application/json")
        self.connection.putheader("Content-Length", str(len(raw)))
        self.connection.endheaders(raw[:len(raw) // 2])

    def answer(self):
        """What comes although the upload still stands."""
        began = time.monotonic()
        try:
            return read_answer(self.connection, began)
        finally:
            self.connection.close()

    def send_rest(self):
        self.connection.send(self.rest)
