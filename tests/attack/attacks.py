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
}
