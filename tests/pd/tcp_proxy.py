"""A TCP proxy that does to connections what networks do to them, and worse."""

import asyncio
import threading

HOST = "127.0.0.1"
CHUNK = 65536


class Loop:
    """An event loop on a thread of its own, for all proxies of a test."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class TcpProxy:
    """Relays 127.0.0.1:port to `target`, a port or a function that says it.

    What a test may set at any time, from any thread:
    - to_client, to_server: bytes in, bytes out, of each piece that is relayed in that direction (the offset of its
      first byte in its direction comes second);
    - cut_after(): how many bytes of a new connection pass until both sides are reset; None: all;
    - swallow: nothing goes from client to server any more, and nobody is told.
    """

    def __init__(self, loop, target):
        self.target = target if callable(target) else lambda: target
        self.to_client = self.to_server = None
        self.cut_after = lambda: None
        self.swallow = False
        self.connections = set()
        self.loop = loop
        self.server = loop.call(asyncio.start_server(self.serve, HOST, 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self):
        async def close():
            self.server.close()
            for writer in list(self.connections):
                writer.transport.abort()
        self.loop.call(close())

    def cut_all(self):
        async def cut():
            for writer in list(self.connections):
                writer.transport.abort()
        self.loop.call(cut())

    async def serve(self, client_reader, client_writer):
        self.connections.add(client_writer)
        server_writer = None
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target())
            self.connections.add(server_writer)
            left = [self.cut_after()]
            await asyncio.gather(
                self.relay(client_reader, server_writer, left, lambda: self.to_server, lambda: self.swallow),
                self.relay(server_reader, client_writer, left, lambda: self.to_client, lambda: False))
        except (OSError, ConnectionError):
            pass
        finally:
            for writer in (client_writer, server_writer):
                if writer is not None:
                    self.connections.discard(writer)
                    writer.transport.abort()

    async def relay(self, reader, writer, left, change, swallows):
        offset = 0
        while piece := await reader.read(CHUNK):
            if swallows():
                continue
            if left[0] is not None:
                left[0] -= len(piece)
                if left[0] <= 0:
                    raise ConnectionResetError
            if (changed := change()) is not None:
                before, piece = len(piece), changed(piece, offset)
                offset += before
            else:
                offset += len(piece)
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
