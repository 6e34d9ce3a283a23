"""Child processes: ports, starting, stopping, CPU time and logs."""

import os
import random
import signal
import socket
import subprocess
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
_taken = set()


def free_port():
    """A free port below the range that outgoing connections use; never the same one twice."""
    while True:
        port = random.randrange(20000, 32000)
        if port not in _taken and _can_bind(port):
            _taken.add(port)
            return port


def _can_bind(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Child:
    """A process in a session of its own, so that Ctrl-C reaches only this program, which then stops the child."""

    def __init__(self, name, command, directory, environment=None):
        self.log = Path(directory) / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
                env={**os.environ, **(environment or {})}, start_new_session=True)

    def alive(self):
        return self.process.poll() is None

    def cpu_seconds(self):
        """User and system time of the process, its descendants and those of them that have ended."""
        return tree_cpu_seconds(self.process.pid)

    def log_tail(self, lines=8):
        return self.log.read_text(errors="replace").splitlines()[-lines:]

    def stop(self):
        if self.alive():
            self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        self._kill_group()
        self.process.wait()

    def _kill_group(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def tree_cpu_seconds(root):
    stats = _all_stats()
    children = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    ticks, todo = 0, [root]
    while todo:
        pid = todo.pop()
        ticks += stats[pid][1] if pid in stats else 0
        todo += children.get(pid, [])
    return ticks / TICK


def _all_stats():
    """{pid: (parent, utime + stime + cutime + cstime in ticks)} of every process."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:    # it ended meanwhile
                continue
            stats[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    return stats
