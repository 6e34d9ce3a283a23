"""A worker of POSTs that can be told, by signals, to go wrong.

SIGUSR1: every second POST is answered with 503. SIGUSR2: a black hole, which neither takes nor refuses connections.
Its argument is a file, which gets a byte for each POST. It says its port on standard output.
"""

import asyncio
import os
import signal
import socket
import sys

DELAY_S = 0.02
ANSWER = b'{"object": "text_completion", "choices": [{"index": 0, "text": " yes", "finish_reason": "length"}]}'


def response(status, body):
    return (b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))) + body


class Worker:
    def __init__(self, count_file):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.count = os.open(count_file, os.O_WRONLY | os.O_APPEND)
        self.posts = 0
        self.fails_half = False
        self.writers = set()
        self.callers = []

    async def serve(self):
        kept = self.socket.dup()  # a server that closes would close the only one
        self.server = await asyncio.start_server(self.answer, sock=self.socket, backlog=1024)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self.fail_half)
        loop.add_signal_handler(signal.SIGUSR2, self.swallow, kept)
        print(kept.getsockname()[1], flush=True)
        await asyncio.Event().wait()

    def fail_half(self):
        self.fails_half = True

    # Nobody takes connections any more, and the kernel has no place left in which to keep them: it drops what comes.
    def swallow(self, kept):
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        kept.listen(0)
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(kept.getsockname())
            self.callers.append(caller)
        for writer in self.writers:
            writer.transport.abort()

    async def answer(self, reader, writer):
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                if head.startswith(b"POST"):
                    self.posts += 1
                    os.write(self.count, b".")
                    if self.fails_half and self.posts % 2 == 0:
                        writer.write(response(503, b'{"error": "overloaded"}'))
                        continue
                    await asyncio.sleep(DELAY_S)
                    writer.write(response(200, ANSWER))
                else:
                    writer.write(response(200, b""))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


if __name__ == "__main__":
    asyncio.run(Worker(sys.argv[1]).serve())
