"""Servers that tell what they are and what they were sent, one for each port of a Service."""
import http.server
import json
import threading
import time


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        told = {"backend": self.server.backend, "method": self.command, "path": self.path,
                "headers": [[name.lower(), value] for name, value in self.headers.items()]}
        body = json.dumps(told).encode()
        self.server.count += 1
        time.sleep(self.server.pause)
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:  # whoever asked has gone
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = do_PATCH = answer

    def log_message(self, *_):
        pass


class Backend:
    """`name`: of the Service and port, as route cases have it: "ns/web:80"."""

    def __init__(self, name):
        self.name = name
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self.server.daemon_threads = True
        self.server.backend, self.server.status, self.server.count, self.server.pause = name, 200, 0, 0
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def count(self):
        return self.server.count

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
