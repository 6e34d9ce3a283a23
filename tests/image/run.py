#!/usr/bin/env python3
"""Holds the images of make/image.py against what they promise: whole, reproducible, small, and able to run as a stranger
in a root file system that nobody can write.

  tests/image/run.py                 the image for production
  tests/image/run.py --docs          the one for tutorials, with its commands
  tests/image/run.py --docs --pip aiperf    the same with Python packages, which takes a network

A tar is unpacked as a container runtime would do it (no runtime is needed) and entered with unshare: user 65532, read-only,
with /proc and an empty /tmp. Needs root or unprivileged user namespaces.
"""
import argparse
import hashlib
import gzip
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = 65532
MOST_MEGABYTES = {False: 30, True: 200}  # unpacked, without Python packages
START_MOST_S = 1.0
failures = []


def check(what, holds, detail=""):
    print(("ok    " if holds else "FAILED ") + what + (f": {detail}" if detail else ""), flush=True)
    if not holds:
        failures.append(what)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def build(docs, pip, output):
    command = [sys.executable, str(ROOT / "make/image.py"), "--output", str(output)] + (["--docs"] if docs else [])
    command += [word for package in pip for word in ("--pip", package)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Unpacked:
    """An image tar, checked while it is read: every digest and size, and that both indexes say the same."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self.files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        self.index = json.loads(self.files["index.json"])
        self.docker = json.loads(self.files["manifest.json"])

    def blob(self, descriptor):
        data = self.files["blobs/sha256/" + descriptor["digest"].split(":")[1]]
        assert sha256(data) == descriptor["digest"] and len(data) == descriptor["size"], descriptor
        return data

    def images(self):
        """Name -> (config, layers as tars)."""
        result = {}
        for descriptor, docker in zip(self.index["manifests"], self.docker, strict=True):
            manifest = json.loads(self.blob(descriptor))
            config = json.loads(self.blob(manifest["config"]))
            layers = [gzip.decompress(self.blob(layer)) for layer in manifest["layers"]]
            assert [sha256(layer) for layer in layers] == config["rootfs"]["diff_ids"]
            assert docker["Layers"] == ["blobs/sha256/" + layer["digest"].split(":")[1] for layer in manifest["layers"]]
            assert self.files[docker["Config"]] == self.blob(manifest["config"])
            name = descriptor["annotations"]["io.containerd.image.name"]
            assert docker["RepoTags"] == [name]
            result[name] = (config, layers)
        return result


def unpack(layers, folder):
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for member in tar.getmembers():
                assert member.mtime == 0 and not member.uname, member.name
                assert not member.name.startswith("/") and ".." not in member.name.split("/"), member.name
            tar.extractall(folder, numeric_owner=True, filter="fully_trusted") if sys.version_info >= (3, 12) else \
                tar.extractall(folder, numeric_owner=True)


class Container:
    """Commands inside of an unpacked image."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, *command):
        root = str(self.folder)
        script = ('mount --make-rprivate / && mount --bind "$0" "$0" && mount -t tmpfs tmpfs "$0/tmp" && '
                  'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && mount -o remount,bind,ro "$0" && '
                  f'exec /usr/sbin/chroot --userspec={USER}:{USER} --groups={USER} "$0" "$@"')
        return ["unshare", "--fork", "--pid", "--mount", "--kill-child", "sh", "-c", script, root, *command]

    def start(self, *command, **options):
        return subprocess.Popen(self.command(*command), env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    @staticmethod
    def stop(process):
        """unshare's child has another user by now, which its own death no longer ends."""
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        process.wait()

    def run(self, *command, seconds=30):
        result = subprocess.run(self.command(*command), env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PWD": "/"}, text=True,
                                capture_output=True, timeout=seconds)
        return result.returncode, result.stdout, result.stderr


def check_tar(docs, pip, folder):
    output = folder / "image.tar"
    printed = build(docs, pip, output)
    print(printed)
    if not pip:  # what a registry has today is not what it has tomorrow
        first = hashlib.sha256(output.read_bytes()).hexdigest()
        build(docs, pip, output)
        check("made twice, the same bytes", hashlib.sha256(output.read_bytes()).hexdigest() == first, first)
    images = Unpacked(output).images()
    check("every digest, size and name of both formats agrees", True, ", ".join(images))
    size = sum(len(layer) for layer in next(iter(images.values()))[1]) / 1e6
    if not pip:
        check(f"unpacked it takes less than {MOST_MEGABYTES[docs]} MB", size < MOST_MEGABYTES[docs], f"{size:.1f} MB")
    for name, (config, _) in images.items():
        check(f"{name} runs as {USER}", config["config"]["User"] == f"{USER}:{USER}")
    return images


def check_program(container):
    begin = time.monotonic()
    status, out, error = container.run("kvasir", "--version")
    took = time.monotonic() - begin
    check("kvasir --version", status == 0, (out + error).strip())
    check(f"it starts in less than {START_MOST_S} s, the container included", took < START_MOST_S, f"{took * 1000:.0f} ms")
    worker = container.start("kvasir", "worker", "--port", "0", "--host", "127.0.0.1")
    try:
        begin = time.monotonic()
        lines = []
        while time.monotonic() < begin + 10:
            lines.append(worker.stdout.readline().strip())
            if "serving on" in lines[-1] or not lines[-1]:
                break
        check("kvasir worker serves, unprivileged and read-only", "serving on" in lines[-1], " / ".join(lines[-2:]))
    finally:
        container.stop(worker)
    status, out, error = container.run("kvasir", "worker", "--args-file", "/nowhere")
    check("an error is one clear line", status == 2 and error.count("\n") == 1, error.strip())


def check_minimal(folder, container):
    programs = [path for path in (folder / "usr/bin").iterdir()] + list((folder / "usr/sbin").glob("*"))
    check("there is one program, and no shell", [path.name for path in programs] == ["kvasir"],
          ", ".join(path.name for path in programs))
    needed = subprocess.run(["ldd", str(folder / "usr/bin/kvasir")], capture_output=True, text=True).stdout
    wanted = {line.split()[0] for line in needed.splitlines() if "=>" in line}
    there = {path.name for path in (folder / "usr/lib").rglob("*.so*")} - {"cert.pem"}
    check("its libraries are the ones that it loads", wanted == there, ", ".join(sorted(wanted ^ there)) or f"{len(there)}")
    status, _, error = container.run("/usr/bin/kvasir", "worker", "--write-tokenizer", "/etc/x")
    check("nothing can be written outside of /tmp", status != 0 and "Read-only" in error, error.strip())


def check_docs(container):
    for command, wanted in (
            (["bash", "-lc", "echo $0 $BASH_VERSION"], "bash 5"),
            (["/bin/sh", "-c", "echo sh"], "sh"),
            (["curl", "--version"], "curl "),
            (["netstat", "--version"], "net-tools"),
            (["ps", "--version"], "procps"),
            (["jq", "--version"], "jq-"),
            (["printenv", "PATH"], "/usr/bin"),
            (["sh", "-c", "echo a b | awk '{print $2}' | sed s/b/c/ | grep c"], "c"),
            (["sh", "-c", "cd /tmp && echo x > f && tar czf t.gz f && tar tzf t.gz"], "f"),
            (["python3", "-c", "import ssl, json, sqlite3, ctypes; print(ssl.OPENSSL_VERSION)"], "OpenSSL"),
            (["bash", "-lc", ". /opt/dynamo/venv/bin/activate && command -v python3 && pip --version"], "/opt/dynamo/venv"),
            (["vllm", "--version"], "kvasir"),
            (["python3", "-m", "vllm.entrypoints.openai.api_server", "--help"], "kvasir worker"),
            (["bash", "-lc", ". /opt/dynamo/venv/bin/activate; python3 -m dynamo.vllm --help"], "kvasir worker"),
            (["sh", "-c", "cd /workspace/examples/backends/vllm && python3 -m dynamo.vllm --help"], "kvasir worker")):
        status, out, error = container.run(*command)
        check(" ".join(command), status == 0 and wanted in out, (out + error).strip().splitlines()[0] if out + error else "")
    status, _, error = container.run("python3", "-m", "dynamo.frontend")
    check("python3 -m dynamo.frontend asks where the workers are", status == 1 and "KVASIR_FRONTEND_FLAGS" in error)
    gateway = "KVASIR_FRONTEND_FLAGS=--worker-urls=http://127.0.0.1:18002 timeout 2 python3 -m dynamo.frontend --http-port 18003"
    _, out, error = container.run("sh", "-c", gateway)
    check("python3 -m dynamo.frontend is a gateway", "gateway" in out + error, (out + error).splitlines()[0])
    status, _, error = container.run("nvidia-smi")
    check("nvidia-smi without a worker says so", status == 9, error.strip())
    script = """vllm serve Qwen/Qwen3-32B --port 18002 > /tmp/log 2>&1 &
      for i in $(seq 100); do curl -fs localhost:18002/health > /dev/null && break; sleep 0.1; done
      curl -fs localhost:18002/metrics | grep vllm_queue_length | tail -1
      KVASIR_WORKER_PORT=18002 nvidia-smi --query-gpu=utilization.gpu --format=csv
      netstat -tln | grep 18002
      kill %1"""
    status, out, error = container.run("bash", "-c", script)
    lines = out.strip().splitlines()
    check("vllm serve shows the tutorial's metrics", any(line.startswith("vllm_queue_length") for line in lines), out + error)
    check("nvidia-smi shows its utilisation", "utilization.gpu [%]" in lines and any(line.endswith(" %") for line in lines))
    check("netstat shows its port", any("LISTEN" in line for line in lines))


def check_python(container, packages):
    """Each can be imported, and pip finds nothing left to do, without a network and where nothing can be written."""
    for package in packages:
        for command in (f"python3 -c 'import {package}'", f"pip install -q --no-cache-dir {package}"):
            status, out, error = container.run("bash", "-lc", f". /opt/dynamo/venv/bin/activate && {command}", seconds=120)
            check(command, status == 0, (out + error).strip()[-300:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--pip", action="append", default=[], metavar="PACKAGE", help="with --docs: packages of Python in it")
    args = parser.parse_args()
    if args.pip and not args.docs:
        sys.exit("--pip: only with --docs")
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        sys.exit("skipped: mount namespaces cannot be made here (needs root)")
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        images = check_tar(args.docs, args.pip, folder)
        root = folder / "root"
        root.mkdir()
        unpack(next(iter(images.values()))[1], root)
        container = Container(root)
        check_program(container)
        check_docs(container) if args.docs else check_minimal(root, container)
        check_python(container, args.pip)
    sys.exit(f"{len(failures)} failed: " + ", ".join(failures) if failures else 0)


if __name__ == "__main__":
    main()
