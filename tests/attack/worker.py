"""A worker that answers small requests at once, and floods and resets those who ask for "flood"."""

import asyncio
import json
import socket
import struct

ANSWER = json.dumps({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
                     "choices": [{"index": 0, "text": " yes", "finish_reason": "length"}],
                     "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}}).encode()
FLOOD_BYTES = 4 << 20


def response(body, kind=b"application/json"):
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head, await reader.readexactly(length)


async def flood(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"data: " + b"x" * 4086 + b"\r\n\r\n"
    for _ in range(FLOOD_BYTES // len(piece)):
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    try:
        await asyncio.wait_for(writer.drain(), 1)
    except (asyncio.TimeoutError, OSError):
        pass
    # abort() closes what still has unsent bytes: the kernel sends a reset.
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def serve(reader, writer):
    try:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET /health"):
                writer.write(response(b"", b"text/plain"))
            elif head.startswith(b"GET"):
                writer.write(response(b"# nothing\n", b"text/plain"))
            elif b'"flood"' in body:
                return await flood(writer)
            else:
                writer.write(response(ANSWER))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.transport.abort()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def run(port):
    asyncio.run(main(port))
