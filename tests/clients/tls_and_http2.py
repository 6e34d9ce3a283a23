#!/usr/bin/env python3
"""Runs curl, h2load and openssl s_client against `kvasir gateway`: HTTP/1.1, HTTP/2 and TLS.

Starts a fast simulated worker and three gateways before it (plain, with two certificates, and one that asks clients
for theirs), makes the certificates with openssl, and checks what each client got. Needs curl, openssl and h2load (Debian:
nghttp2-client). Exits with 1 when a check fails.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60
CLIENT_SECONDS = 120
RELOAD_SECONDS = 40  # files are looked at every 10 s
MODEL = "some/model"


class CheckFailed(Exception):
    """A client got something else than it should have."""


def require(condition, what):
    if not condition:
        raise CheckFailed(what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, expect=0, **options):
    """The output of a client, error output behind it. `expect`: its exit status; None: any."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                            timeout=CLIENT_SECONDS, **options)
    if expect is not None and result.returncode != expect:
        raise CheckFailed(f"{' '.join(command)} ended with status {result.returncode}:\n{result.stdout[-4000:]}")
    return result.stdout


class Certificates:
    """A CA, certificates for the hosts of two folders, one of a client, and one of a stranger."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self.authority("ca")
        self.stranger = self.authority("stranger")
        self.first = self.pair("first", ["localhost", "first.test"])
        self.second = self.pair("second", ["second.test", "*.wild.test"])
        self.client = self.pair("client", ["client"])
        self.unknown_client = self.pair("unknown", ["client"], "stranger")

    def openssl(self, *arguments):
        run(["openssl", *arguments], cwd=self.folder)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        return self.folder / f"{name}.crt"

    def pair(self, name, hosts, authority="ca", kind="ec"):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        key = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        self.openssl("req", *key, "-nodes", "-subj", f"/CN={hosts[0]}", "-keyout", f"{name}/new.key", "-out",
                     f"{name}/request")
        (folder / "names").write_text("subjectAltName=" + ",".join("DNS:" + host for host in hosts))
        self.openssl("x509", "-req", "-in", f"{name}/request", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                     "-CAcreateserial", "-days", "2", "-extfile", f"{name}/names", "-out", f"{name}/new.crt")
        os.replace(folder / "new.crt", folder / "tls.crt")
        os.replace(folder / "new.key", folder / "tls.key")
        return folder


class Programs:
    """A worker and gateways before it, each on a free port."""

    def __init__(self, kvasir, folder):
        self.kvasir = kvasir
        self.folder = folder
        self.running = []
        self.worker = self.start("worker", [MODEL, "--time-scale", "50", "--max-num-seqs", "512"])
        self.wait(self.worker, plain=True)

    def start(self, program, arguments):
        port = free_port()
        log = open(self.folder / f"{program}-{port}.log", "w")
        self.running.append(subprocess.Popen(
            [str(self.kvasir), program, *arguments, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log))
        return port

    def gateway(self, *arguments):
        return self.start("gateway", ["--worker-urls", f"http://127.0.0.1:{self.worker}", "--threads", "2", *arguments])

    def wait(self, port, plain=False):
        url = f"{'http' if plain else 'https'}://127.0.0.1:{port}/health"
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", url], expect=None).strip() == "200":
                return
            time.sleep(0.1)
        raise CheckFailed(f"nobody answers at {url}")

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()

    def logs(self):
        return "\n".join(f"--- {path.name} ---\n{path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))


def prompt(words, **more):
    return json.dumps({"model": MODEL, "prompt": " bab" * words, "max_tokens": 4, **more})


def curl(url, *flags, body=None):
    """Version and status of the answer, its head and its body."""
    marked = ["-sS", "-N", "-D", "-", "-w", "\n%{http_version} %{http_code}", *flags, url]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if body is not None:
            file.write(body)
            file.flush()
            marked += ["-H", "content-type: application/json", "--data-binary", f"@{file.name}"]
        text = run(["curl", *marked])
    rest, _, last = text.rpartition("\n")
    head, _, body = rest.replace("\r", "").partition("\n\n")
    while head.split()[1] == "100":
        head, _, body = body.partition("\n\n")
    version, status = last.split()
    return version, int(status), head.lower(), body


def check_curl(url, version, *flags):
    """Answers of each kind, over one version of HTTP."""
    def ask(path, body=None, *more):
        got, status, head, answer = curl(url + path, *flags, *more, body=body)
        require(got == version, f"{url} spoke HTTP/{got}, not {version}")
        return status, head, answer

    status, head, answer = ask("/v1/completions", prompt(3))
    require(status == 200 and json.loads(answer)["usage"]["prompt_tokens"] == 3, answer)
    require("x-selected-pod:" in head and "content-length:" in head, head)
    status, head, answer = ask("/v1/completions", prompt(3, stream=True))
    require(status == 200 and "text/event-stream" in head and answer.rstrip().endswith("data: [DONE]"), answer)
    status, head, answer = ask("/v1/completions", prompt(300_000))
    require(status in (200, 400), f"a body of 1.2 MB: {status}: {answer[:300]}")
    status, head, answer = ask("/v1/completions", prompt(3, model="nobody"))
    require(status == 404, answer)
    status, head, answer = ask("/health", None, "--head", "-o", "/dev/null")
    require(status == 200 and answer == "", f"HEAD: {status}: {answer}")
    status, head, answer = ask("/v1/models")
    require(status == 200 and json.loads(answer)["data"][0]["id"] == MODEL, answer)
    status, head, answer = ask("/v1/completions", "{")
    require(status == 400 and "error" in json.loads(answer), answer)


def h2load(url, streams, *flags):
    report = run(["h2load", "-n", "4000", "-c", "8", "-m", str(streams), *flags, url])
    require("4000 succeeded, 0 failed, 0 errored, 0 timeout" in report, report)
    return re.search(r"finished in [^,]+, ([\d.]+) req/s", report).group(1)


def s_client(port, *arguments, typed="Q\n", expect=None):
    return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments], input=typed, expect=expect)


def established(report):
    """Whether a handshake succeeded, and a peer that refuses our certificate had time to say so."""
    return bool(re.search(r"Cipher is (?!\(NONE\))", report)) and "alert" not in report


def subject(report):
    found = re.search(r"subject=.*CN ?= ?(\S+)", report)
    return found.group(1) if found else None


def check_scan(port, ca):
    """What a scanner of TLS would look for."""
    weakest = ["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    for version in ("-tls1", "-tls1_1"):
        require(not established(s_client(port, version, *weakest)), f"{version} is taken")
    for version in ("-tls1_2", "-tls1_3"):
        require(established(s_client(port, version)), f"{version} is refused")
    listed = run(["openssl", "ciphers", "-s", "-tls1_2", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"])
    taken = set()
    for line in listed.splitlines():
        standard, _, name = line.split()[:3]
        if established(s_client(port, "-tls1_2", "-cipher", name + ":@SECLEVEL=0")):
            taken.add(standard)
    strong = re.compile(r"TLS_ECDHE_(ECDSA|RSA)_WITH_(AES_\d+_GCM_SHA\d+|CHACHA20_POLY1305_SHA256)")
    require(taken and all(strong.fullmatch(name) for name in taken), f"taken of TLS 1.2: {sorted(taken)}")
    report = s_client(port, "-tls1_2", typed="R\nQ\n")
    require("no renegotiation" in report, report[-600:])
    require("Compression: NONE" in report, report[-600:])
    report = s_client(port, "-alpn", "h2,http/1.1")
    require("ALPN protocol: h2" in report, report[-600:])
    require("ALPN protocol: http/1.1" in s_client(port, "-alpn", "http/1.1"), "http/1.1 is not agreed on")
    require(not established(s_client(port, "-alpn", "imap")), "a client that speaks something else is taken")
    verified = s_client(port, "-CAfile", str(ca), "-servername", "first.test", "-verify_hostname", "first.test",
                        "-verify_return_error")
    require("Verify return code: 0 (ok)" in verified, verified[-600:])
    return len(taken)


def check_names(port):
    for host, shown in (("first.test", "localhost"), ("second.test", "second.test"), ("a.wild.test", "second.test"),
                        ("SECOND.test", "second.test"), ("nobody.test", "localhost")):
        seen = subject(s_client(port, "-servername", host))
        require(seen == shown, f"{host} is shown the certificate of {seen}, not of {shown}")
    require(subject(s_client(port, "-noservername")) == "localhost", "without a name: not the first certificate")


def check_resumption(port, folder):
    session = str(folder / "session")
    for version in ("-tls1_2", "-tls1_3"):
        # A ticket of 1.3 comes behind the handshake.
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-sess_out", session],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            time.sleep(0.5)
            first.communicate(b"Q\n")
        again = s_client(port, version, "-sess_in", session)
        require("Reused, TLSv1" in again, f"{version}: no session is resumed:\n{again[-600:]}")


def check_plain_and_tls(plain, tls):
    """Whoever speaks the wrong one is told."""
    version, status, head, answer = curl(f"http://127.0.0.1:{tls}/v1/models")
    require(status == 400 and "https" in answer and "text/plain" in head, answer)
    refused = run(["curl", "-sSk", f"https://127.0.0.1:{plain}/v1/models"], expect=None)
    require("wrong version number" in refused or "SSL" in refused, refused)


def check_client_certificates(port, certificates):
    def ask(*flags):
        return run(["curl", "-sS", "--cacert", str(certificates.ca), "-o", "/dev/null", "-w", "%{http_code}",
                    "--resolve", f"first.test:{port}:127.0.0.1", *flags, f"https://first.test:{port}/live"], expect=None)

    def shown(folder):
        return ["--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]

    for version in ("1.2", "1.3"):
        flags = ["--tls-max", version]
        require(ask(*flags, *shown(certificates.client)) == "200", "a client is refused whom the CA vouches for")
        require("200" not in ask(*flags), "a client without a certificate is taken")
        require("200" not in ask(*flags, *shown(certificates.unknown_client)), "a stranger's client is taken")


ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: front}}
spec:
  gatewayClassName: kvasir
  listeners:
  - {{name: plain, port: 80, protocol: HTTP}}
  - name: secure
    port: 443
    protocol: HTTPS
    hostname: "*.wild.test"
    tls: {{mode: Terminate, certificateRefs: [{{name: secret}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: secret}}
type: kubernetes.io/tls
stringData: {{tls.crt: "-----BEGIN CERTIFICATE-----", tls.key: "-----BEGIN PRIVATE KEY-----"}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: chat}}
spec:
  parentRefs: [{{name: front}}]
  rules: [{{backendRefs: [{{name: chat, port: 80}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: chat}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: chat-1, labels: {{kubernetes.io/service-name: chat}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


def check_routes(programs, certificates):
    """Listeners of protocol HTTPS, where clients speak TLS."""
    manifests = programs.folder / "routes.yaml"
    manifests.write_text(ROUTES.format(port=programs.worker))
    port = programs.gateway("--tls-cert-path", str(certificates.second), "--routes", str(manifests))
    programs.wait(port)
    for host, expected in (("a.wild.test", 200), ("second.test", 404)):
        version, status, head, answer = curl(f"https://{host}:{port}/v1/models", "--cacert", str(certificates.ca), "--http2",
                                             "--resolve", f"{host}:{port}:127.0.0.1")
        require((version, status) == ("2", expected), f"{host}: HTTP/{version} {status}: {answer}")


def check_reload(port, certificates, logs):
    certificates.pair("second", ["renewed.test", "second.test"])
    deadline = time.monotonic() + RELOAD_SECONDS
    while subject(s_client(port, "-servername", "second.test")) != "renewed.test":
        require(time.monotonic() < deadline, "the renewed certificate is not shown")
        time.sleep(0.5)
    (certificates.second / "tls.key").write_text("broken")
    while "the changed certificates are not used" not in logs():
        require(time.monotonic() < deadline + RELOAD_SECONDS, "nothing is said of broken files")
        time.sleep(0.5)
    require(subject(s_client(port, "-servername", "second.test")) == "renewed.test", "broken files are used")


def check_keys_are_not_told(programs, certificates):
    secrets = [line for path in certificates.folder.rglob("*.key") for line in path.read_text().splitlines()
               if len(line) > 40]
    require(secrets, "no keys to look for")
    told = programs.logs()
    require(not any(secret in told for secret in secrets), "a key is in a log")


def run_checks(kvasir, folder):
    certificates = Certificates(folder)
    programs = Programs(kvasir, folder)
    try:
        both = ["--tls-cert-path", str(certificates.first), "--tls-cert-path", str(certificates.second)]
        plain = programs.gateway()
        tls = programs.gateway(*both)
        mutual = programs.gateway(*both, "--tls-client-ca", str(certificates.ca))
        old = programs.gateway(*both, "--no-http2", "--tls-min-version", "1.3")
        for port in (plain, tls, old):
            programs.wait(port, plain=port == plain)
        secure = f"https://first.test:{tls}"
        trust = ["--cacert", str(certificates.ca), "--resolve", f"first.test:{tls}:127.0.0.1"]
        for url, version, flags in ((f"http://127.0.0.1:{plain}", "1.1", ["--http1.1"]),
                                    (f"http://127.0.0.1:{plain}", "2", ["--http2-prior-knowledge"]),
                                    (secure, "1.1", [*trust, "--http1.1"]), (secure, "2", [*trust, "--http2"])):
            check_curl(url, version, *flags)
            print(f"curl {' '.join(flags[-1:])} {url.split(':')[0]}: ok", flush=True)
        version, *_ = curl(f"https://127.0.0.1:{old}/live", "-k", "--http2")
        require(version == "1.1", "HTTP/2 is spoken although it is off")
        rates = [h2load(f"http://127.0.0.1:{plain}/live", 1), h2load(f"http://127.0.0.1:{plain}/live", 32),
                 h2load(f"https://127.0.0.1:{tls}/live", 32), h2load(f"https://127.0.0.1:{tls}/live", 1, "--h1")]
        body = folder / "body.json"
        body.write_text(prompt(3))
        posts = ["-d", str(body), "-H", "content-type: application/json"]
        rates += [h2load(f"http://127.0.0.1:{plain}/v1/completions", 32, *posts),
                  h2load(f"https://127.0.0.1:{tls}/v1/completions", 32, *posts)]
        print(f"h2load: ok: 4000 requests each, none failed ({', '.join(rates)} requests/s)", flush=True)
        suites = check_scan(tls, certificates.ca)
        require(not established(s_client(old, "-tls1_2")), "TLS 1.2 is taken below --tls-min-version 1.3")
        print(f"openssl s_client: ok: 1.2 and 1.3 alone, {suites} suites of 1.2, no renegotiation", flush=True)
        check_names(tls)
        check_resumption(tls, folder)
        check_plain_and_tls(plain, tls)
        check_client_certificates(mutual, certificates)
        check_routes(programs, certificates)
        print("names, resumption, plain on TLS, client certificates, HTTPS listeners: ok", flush=True)
        check_reload(tls, certificates, programs.logs)
        check_keys_are_not_told(programs, certificates)
        print("certificates renewed while it runs, no key in a log: ok", flush=True)
    except (CheckFailed, subprocess.TimeoutExpired):
        print(programs.logs(), file=sys.stderr)
        raise
    finally:
        programs.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    arguments = parser.parse_args()
    missing = [name for name in ("curl", "openssl", "h2load") if shutil.which(name) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)} (Debian: curl, openssl, nghttp2-client)")
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_checks(arguments.kvasir, Path(folder))
        except (CheckFailed, subprocess.TimeoutExpired) as problem:
            print(f"FAILED: {problem}", file=sys.stderr)
            return 1
    print("TLS and HTTP/2: all checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
