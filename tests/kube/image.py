"""A container image of one layer, as an archive of the kind that `docker save` writes and `ctr images import` reads."""
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import tempfile

PAUSE = "localhost/pause:1"
PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


def make_pause(path):
    """What holds the namespaces of a pod: a program that waits, and takes in the processes that lost their parents."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "pause"
        subprocess.run(["gcc", "-x", "c", "-", "-static", "-Os", "-s", "-o", str(program)], input=PAUSE_SOURCE, text=True,
                       check=True)
        make_image(path, PAUSE, {"pause": program}, ["/pause"])


def _add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))


def make_image(path, name, files, entrypoint):
    """`files`: a file of this machine for each name in the image."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for inside, outside in files.items():
            _add(archive, inside, pathlib.Path(outside).read_bytes())
    layer = layer.getvalue()
    configuration = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        _add(archive, "config.json", configuration)
        _add(archive, "layer.tar", layer)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
