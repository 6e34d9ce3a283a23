"""This machine's processes, ports and addresses."""
import contextlib
import fcntl
import os
import pathlib
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "envoy"))
from envoy_process import free_port  # noqa: E402 (found by the line above)

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = 60
STOP_SECONDS = 3
NETS = range(9, 40)  # of 10.244.N.0/24

__all__ = ["ROOT", "Child", "answers", "free_port", "local_net", "wait_until"]


def wait_until(holds, what, seconds=READY_SECONDS, pause=0.02):
    """The first true value of `holds()`. `what`: text, or what gives it, for when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(pause)


def answers(host, port):
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Child:
    """A process whose output goes to `log`. It ends with us, even when we are killed."""

    def __init__(self, command, log, environment=None):
        self.log = pathlib.Path(log)
        with open(self.log, "a") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env={**os.environ, **(environment or {})},
                start_new_session=True)  # Ctrl-C is ours alone: we stop them, in order

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=STOP_SECONDS):
        if not self.running():
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def lines(self):
        return self.log.read_text(errors="replace").splitlines()

    def wait_for_line(self, *words, seconds=READY_SECONDS, times=1):
        """The `times`-th line of its log that holds all of these words."""
        def find():
            found = [line for line in self.lines() if all(word in line for word in words)]
            if len(found) >= times:
                return found[times - 1]
            if not self.running():
                raise RuntimeError(f"{self.log.name}: it ended with {self.process.returncode}: {self.tail()}")
            return None
        return wait_until(find, lambda: f"{self.log.name} never says {words}: {self.tail()}", seconds)

    def tail(self, characters=1500):
        return self.log.read_text(errors="replace")[-characters:]


@contextlib.contextmanager
def local_net(lock_folder="/tmp"):
    """The first three numbers of a /24 whose addresses are all this machine's own while the context lasts.

    On the loopback interface: no packet for it leaves the machine. Two runs never have the same."""
    for number in NETS:
        with open(f"{lock_folder}/kvasir-kube-net-{number}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            net = f"10.244.{number}"
            ip = ["ip", "addr", "replace", f"{net}.0/24", "dev", "lo"]
            done = subprocess.run(ip, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PermissionError(f"{' '.join(ip)}: {done.stderr.strip()} (the pods need addresses of their own: be root)")
            try:
                yield net
            finally:
                subprocess.run(["ip", "addr", "del", f"{net}.0/24", "dev", "lo"], check=False)
            return
    raise RuntimeError("every 10.244.N.0/24 is in use by another run")
