"""One request as a client sends it, and its answer."""
import http.client
import json
import ssl
import urllib.parse
from dataclasses import dataclass

TIMEOUT_SECONDS = 30


@dataclass
class Answer:
    status: int
    headers: dict  # lower-case names
    body: bytes

    def told(self):
        """What the backend said; empty: none answered."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) and "backend" in told else {}

    def backend(self):
        return self.told().get("backend", "")

    def route(self):
        return self.headers.get("x-kvasir-route", "")

    def short(self):
        return f"{self.status} {self.backend() or self.headers.get('location', '')} {self.body[:120] if not self.told() else ''}"


def send(url, port, method="GET", headers=None, body=None, server_name=None):
    """`url`: as the client has it; `port`: where on this machine it is sent. `headers`: pairs."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)
        # The name that the client asks for in its handshake.
        connection._context = _NamingContext(context, server_name or parts.hostname)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc)
        for name, value in headers or []:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class _NamingContext:
    """An SSL context for connections to an address that name a host."""

    def __init__(self, context, name):
        self.context, self.name = context, name

    def wrap_socket(self, sock, server_hostname=None, **more):
        return self.context.wrap_socket(sock, server_hostname=self.name, **more)
