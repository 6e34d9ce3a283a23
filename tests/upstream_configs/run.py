#!/usr/bin/env python3
"""Every EndpointPickerConfig of a copy of llm-d-router, tried on Kvasir.

    make test-upstream-configs UPSTREAM=/path/to/llm-d-router      # a checkout or a git directory

Reads the configurations out of the copy (YAML files, Helm values and templates, Markdown snippets, strings of
Go tests), runs `kvasir config check` and a short `kvasir epp` on each, and prints a table. Nothing of the copy
is kept. With --llm-d-epp BINARY, the picker built from the same copy, it also says what that one loads.

Exit code 1: the two verdicts differ for a file, or a file that llm-d loads is refused for a reason that
docs/EPP.md does not list. 0 without a copy: it says that it was skipped.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUFFIXES = (".yaml", ".yml", ".md", ".go", ".tpl")
START_SECONDS = 20
HEADER = re.compile(r"^( *)apiVersion: *[\"']?(llm-d\.ai|inference\.networking\.x-k8s\.io)/\S+ *$")
KIND = re.compile(r"^ *kind: *EndpointPickerConfig *$")


class Copy:
    """The files of a checkout or of a git directory at a revision."""

    def __init__(self, path, revision):
        self.path = pathlib.Path(path)
        self.revision = revision
        self.is_git = subprocess.run(["git", "-C", path, "rev-parse", "--git-dir"], capture_output=True).returncode == 0

    def git(self, *arguments):
        return subprocess.run(["git", "-C", self.path, *arguments], capture_output=True, check=True).stdout

    def name(self):
        if not self.is_git:
            return f"{self.path} (no git: which commit it is is not known)"
        return "commit " + self.git("log", "-1", "--format=%h of %cs", self.revision).decode().strip()

    def files(self):
        if self.is_git:
            for line in self.git("ls-tree", "-r", "--name-only", self.revision).decode().splitlines():
                if line.endswith(SUFFIXES):
                    yield line, self.git("show", f"{self.revision}:{line}").decode(errors="replace")
            return
        for path in sorted(self.path.rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield str(path.relative_to(self.path)), path.read_text(errors="replace")


def indent_of(line):
    return len(line) - len(line.lstrip(" "))


def headed_blocks(text):
    """Configurations that begin with apiVersion and kind, wherever they are nested."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        match = HEADER.match(line)
        if not match or at + 1 == len(lines) or not KIND.match(lines[at + 1]):
            continue
        indent = len(match.group(1))
        block = []
        for follower in lines[at:]:
            inside = not follower.strip() or indent_of(follower) >= indent
            ends = follower.strip() in ("---", "EOF") or follower.lstrip().startswith(("{{", "```"))
            if not inside or ends:
                break
            block.append(follower)
        yield at + 1, textwrap.dedent("\n".join(block)).rstrip() + "\n"


def fences(text):
    """The code blocks of a Markdown file, with the line that each begins at."""
    block, begin, indent = None, 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("```"):
            if block is None:
                block, begin = [], number + 1
            else:
                yield begin, textwrap.dedent("\n".join(block)) + "\n"
                block = None
        elif block is not None:
            block.append(line)


def go_strings(text):
    for match in re.finditer(r"`([^`]*)`", text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1)


def is_bare(text):
    """A configuration that says neither apiVersion nor kind."""
    return bool(re.search(r"^plugins: *$", text, re.M)) and bool(re.search(r"^[ -]*\btype:", text, re.M))


def configurations(name, text):
    if name.endswith((".yaml", ".yml", ".tpl")):
        yield from headed_blocks(text)
        return
    pieces = fences(text) if name.endswith(".md") else go_strings(text)
    for line, piece in pieces:
        if name.endswith(".go"):
            piece = textwrap.dedent(piece.replace("\t", "  ")).lstrip("\n")
        headed = list(headed_blocks(piece))
        for at, block in headed:
            yield line + at - 1, block
        if not headed and is_bare(piece):
            yield line, piece


def with_endpoints_file(text, path):
    """file-discovery reads our own list of endpoints."""
    text = re.sub(r"(path: *)%q", rf"\g<1>{path}", text)
    if "file-discovery" not in text:
        return text
    return re.sub(r"^( *path: *)[\"']?\S+\.(ya?ml|json)[\"']?.*$", rf"\g<1>{path}", text, flags=re.M)


def names_discovery(text):
    return bool(re.search(r"^ +discovery:", text, re.M)) and bool(re.search(r"type: *file-discovery", text))


def with_discovery(text, path):
    """The same configuration with a list of endpoints, without which llm-d's picker asks for Kubernetes."""
    if names_discovery(text):
        return text
    plugin = f"{{name: list-of-endpoints, type: file-discovery, parameters: {{path: {path}}}}}"
    lines = text.splitlines()
    plugins = next((at for at, line in enumerate(lines) if line.startswith("plugins:")), None)
    if plugins is None:
        lines += ["plugins:", f"- {plugin}"]
    else:
        first = next((line for line in lines[plugins + 1:] if line.lstrip().startswith("-")), "-")
        lines[plugins] = "plugins:"
        lines.insert(plugins + 1, " " * indent_of(first) + "- " + plugin)
    lines = [re.sub(r"^dataLayer: *\{\} *$", "dataLayer:", line) for line in lines]
    layer = next((at for at, line in enumerate(lines) if line.startswith("dataLayer:")), None)
    if layer is None:
        lines += ["dataLayer:", "  discovery: {pluginRef: list-of-endpoints}"]
    else:
        inside = [line for line in lines[layer + 1:] if line.strip() and not line.strip().startswith("#")]
        first = inside[0] if inside and inside[0].startswith(" ") else "  "
        lines.insert(layer + 1, " " * max(indent_of(first), 1) + "discovery: {pluginRef: list-of-endpoints}")
    return "\n".join(lines) + "\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Programs:
    def __init__(self, kvasir, llm_d_epp, folder):
        self.kvasir, self.llm_d_epp, self.folder = kvasir, llm_d_epp, folder
        self.endpoints = folder / "endpoints.yaml"
        self.endpoints.write_text('endpoints:\n- {name: one, address: 127.0.0.1, port: "9"}\n')

    def check(self, file):
        run = subprocess.run([self.kvasir, "config", "check", "--allow-experimental-plugins", file],
                             capture_output=True, text=True, timeout=START_SECONDS)
        return run.returncode, without_program(run.stderr)

    def epp(self, file, text):
        command = [self.kvasir, "epp", "--config-file", file, "--host", "127.0.0.1", "--grpc-port", "0",
                   "--grpc-health-port", "0", "--metrics-port", "0", "--secure-serving=false",
                   "--decision-log", "off", "--allow-experimental-plugins"]
        if not names_discovery(text):
            command += ["--endpoints", "127.0.0.1:9"]
        return until(command, lambda output: "picking on" in output)

    def llm_d(self, number, text):
        file = self.folder / f"llm-d-{number}.yaml"
        file.write_text(with_discovery(text, self.endpoints))
        port = free_port()
        command = [self.llm_d_epp, "--config-file", str(file), "--grpc-port", str(port), "--grpc-health-port",
                   str(free_port()), "--metrics-port", str(free_port()), "--secure-serving=false", "--pool-name", "p",
                   "--pool-namespace", "default", "--tracing=false", "--metrics-endpoint-auth=false",
                   "--allow-experimental-plugins"]
        code, output = until(command, lambda _: accepts(port))
        return code == 0, output


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        return True
    except OSError:
        return False


def without_program(text):
    return re.sub(r"^kvasir (epp|config check): ", "", text.strip())


def until(command, serves):
    """(0, "") once it serves; otherwise its exit code and what it said. It is ended then."""
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            log.seek(0)
            output = log.read()
            code = process.poll()
            if code is not None:
                log.seek(0)
                return code, without_program(log.read())
            if serves(output):
                return 0, ""
            time.sleep(0.02)
        return -1, "it neither served nor ended"
    finally:
        process.kill()
        process.wait()


def listed_reasons():
    """The types and settings of the table in docs/EPP.md."""
    text = (ROOT / "docs/EPP.md").read_text()
    table = text.split("## What is not supported", 1)[-1].split("\n## ", 1)[0]
    return [name for row in re.findall(r"^\| (`[^|]*) \|", table, re.M) for name in re.findall(r"`([^`]+)`", row)]


Try = collections.namedtuple("Try", "place text")
Row = collections.namedtuple("Row", "place verdict same reason llm_d")


def examine(programs, number, config):
    text = with_endpoints_file(config.text, programs.endpoints)
    file = programs.folder / f"{number}.yaml"
    file.write_text(text)
    check_code, check_text = programs.check(str(file))
    epp_code, epp_text = programs.epp(str(file), text)
    same = check_code == epp_code and (epp_code == 0 or check_text == epp_text)
    reason = epp_text if same else f"check {check_code}: {check_text} / epp {epp_code}: {epp_text}"
    reason = reason.replace(str(file) + ":", "").replace(str(file), "").strip()
    llm_d = programs.llm_d(number, text) if programs.llm_d_epp else None
    return Row(config.place, "starts" if epp_code == 0 else "refused", same, reason, llm_d)


def why_llm_d_refuses(output):
    errors = re.findall(r'"error":"((?:[^"\\]|\\.)*)"', output)
    return errors[-1] if errors else output.strip().splitlines()[-1] if output.strip() else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", default="", help="a checkout of llm-d-router, or its git directory")
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--llm-d-epp", default="", help="the picker built from that copy: says what it loads")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.upstream:
        print("SKIPPED: no copy of llm-d-router. Give one: make test-upstream-configs UPSTREAM=/path/to/llm-d-router")
        return 0
    copy = Copy(arguments.upstream, arguments.revision)
    tries, known = [], set()
    templates = 0
    for name, text in copy.files():
        for line, config in configurations(name, text):
            # The port of a test, and a source that only llm-d's tests register.
            config = config.replace(":%s", ":8000").replace("mock-metrics-source", "metrics-data-source")
            if re.search(r"%[sdv]|\{\{|<[a-z-]+>", config):
                templates += 1
            elif config not in known:
                known.add(config)
                tries.append(Try(f"{name}:{line}", config))
    print(f"llm-d-router, {copy.name()}: {len(tries)} configurations, {templates} templates left out")
    with tempfile.TemporaryDirectory() as folder:
        programs = Programs(arguments.kvasir, arguments.llm_d_epp, pathlib.Path(folder))
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            rows = list(pool.map(lambda pair: examine(programs, *pair), enumerate(tries)))
    return report(rows, bool(arguments.llm_d_epp))


def report(rows, with_llm_d):
    listed = listed_reasons()
    counts, failures = collections.Counter(), 0
    for row in rows:
        loads = row.llm_d is None or row.llm_d[0]
        llm_d = "" if row.llm_d is None else " | llm-d loads it" if loads else " | llm-d refuses it"
        note = "" if row.same else " | VERDICTS DIFFER"
        if row.verdict == "starts":
            kind = "starts"
        elif not loads:
            kind = "refused, by llm-d too"
        elif "KV events" in row.reason:
            kind = "refused: needs KV events"
        elif any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", row.reason) for name in listed):
            kind = "refused: listed in docs/EPP.md"
        else:
            kind = "refused for a reason that is not listed"
            failures += with_llm_d
            note += " | NOT LISTED" if with_llm_d else ""
        failures += not row.same
        counts[kind] += 1
        print(f"{row.place} | {row.verdict}{llm_d}{note}")
        for line in row.reason.splitlines()[:3]:
            print(f"    {line[:240]}")
        if row.llm_d is not None and not loads:
            print(f"    llm-d: {why_llm_d_refuses(row.llm_d[1])[:240]}")
    print()
    for kind, count in sorted(counts.items()):
        print(f"{count:4} {kind}")
    print(f"{sum(not row.same for row in rows):4} verdicts of `config check` and `epp` that differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
