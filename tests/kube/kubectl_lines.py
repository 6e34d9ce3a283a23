#!/usr/bin/env python3
"""Every kubectl line of the tutorials (kubectl_lines.tsv): shown as docs/KUBECTL.md, and run.

  tests/kube/kubectl_lines.py --check     docs/KUBECTL.md says what the table says
  tests/kube/kubectl_lines.py --write     writes docs/KUBECTL.md

Columns: the document and line; `now`, or what the line waits for; where it runs; names; the line itself (\\n is a line end);
what it must print, as a regular expression; the last result. Where: namespace:NAME (kubectl's own), folder:PATH, requests
(some were sent through the picker before), prefills (each decode worker had prompts prefilled elsewhere before), metrics-server
(it is installed), fails (it ends with an error, which it must print). Names: <NAME>=TEXT, <NAME>=pod:SELECTOR or
<NAME>=address:SELECTOR (of such a pod) for a placeholder, keep:VARIABLE for one that later lines use, file:NAME for a file that
is there, image:PACKAGE for a Python package that the image has.
"""
import argparse
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TABLE = HERE / "kubectl_lines.tsv"
DOCUMENT = ROOT / "docs/KUBECTL.md"
ENDLESS = re.compile(r"port-forward| -w\b| --since=\S+ -f\b")
SECONDS = 60
ENDLESS_SECONDS = 5
WAITS = {
    "an operator": "an operator for SchedulerInstall and DynamoGraphDeployment",
    "Gateway API": "Gateway API objects served by Kvasir",
}


@dataclasses.dataclass
class Line:
    at: str
    runs: str
    where: list
    names: list
    command: str
    expected: str
    last: str

    def runs_now(self):
        return self.runs == "now"

    def place(self, kind):
        """The value of namespace: or folder:; of a word without value, whether it is there."""
        for word in self.where:
            name, _, value = word.partition(":")
            if name == kind:
                return value or True
        return None


def words(text):
    return [] if text == "-" else text.split(" ")


def read_lines(path=TABLE):
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text or text.startswith("#"):
            continue
        columns = text.split("\t")
        if len(columns) != 7:
            raise ValueError(f"{path}:{number}: {len(columns)} columns instead of 7")
        at, runs, where, names, command, expected, last = columns
        if runs != "now" and runs not in WAITS:
            raise ValueError(f"{path}:{number}: '{runs}' is neither now nor one of {', '.join(WAITS)}")
        re.compile(expected, re.MULTILINE)
        lines.append(Line(at, runs, words(where), words(names), command.replace("\\n", "\n"), expected, last))
    return lines


def write_results(results, path=TABLE):
    """`results`: what the last column says from now on, by document and line."""
    texts = []
    for text in path.read_text().splitlines():
        columns = text.split("\t")
        if len(columns) == 7 and not text.startswith("#"):
            columns[6] = results.get(columns[0], columns[6])
        texts.append("\t".join(columns))
    path.write_text("\n".join(texts) + "\n")


# --- Running -----------------------------------------------------------------------------------


class Skip(Exception):
    """A line that cannot be tried here, and why."""


class Runner:
    """Runs lines in bash, one after another; variables and files of one are there for the next.

    `environment`: with KUBECONFIG and a PATH where kubectl is. `folder`: an empty one to run in. `has`: what is installed
    beside the examples: metrics-server, a Python package of the image.
    """

    def __init__(self, environment, folder, has=()):
        self.environment, self.folder, self.has = dict(environment), pathlib.Path(folder), set(has)

    def run(self, line):
        """What the line printed. Raises Skip, or AssertionError with what was expected."""
        for word in line.where:
            if word == "metrics-server" and word not in self.has:
                raise Skip("metrics-server is not installed")
        command = self._prepare(line)
        folder = ROOT / line.place("folder") if line.place("folder") else self.folder
        self._kubectl("config", "set-context", "--current", "--namespace", line.place("namespace") or "default")
        endless = ENDLESS.search(command)
        with subprocess.Popen(["bash", "-c", command], cwd=folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
            try:
                out, error = process.communicate(timeout=ENDLESS_SECONDS if endless else SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGTERM)
                out, error = process.communicate()
                assert endless, f"no end after {SECONDS} s: {out}{error}"
        self._keep(line, out)
        shown = (out + error).strip()[-400:]
        fails = bool(line.place("fails"))
        assert endless or (process.returncode != 0) == fails, f"exit status {process.returncode}: {shown}"
        told = out + error if fails else out
        assert re.search(line.expected, told, re.MULTILINE), f"it should print {line.expected}, but printed {shown or 'nothing'}"
        return told

    def _prepare(self, line):
        command = line.command
        namespace = line.place("namespace")
        for word in line.names:
            name, _, value = word.partition("=")
            if word.startswith("file:"):
                (self.folder / word[5:]).write_text('{"timestamp": 0}\n')
            elif word.startswith("image:"):
                if word[6:] not in self.has:
                    raise Skip(f"the image was made without --pip {word[6:]}")
            elif word.startswith("keep:"):
                command += f'; echo "${{{word[5:]}}}" > .kept'
            elif value.startswith("pod:"):
                command = command.replace(name, self._pod(value[4:], namespace, "metadata.name"))
            elif value.startswith("address:"):
                command = command.replace(name, self._pod(value[8:], namespace, "status.podIP"))
            else:
                command = command.replace(name, value)
                namespace = value if name == "<namespace>" else namespace
        left = re.search(r"<[a-z-]+>", command)
        assert not left, f"nothing stands for {left[0]}"
        return command

    def _keep(self, line, out):
        for word in line.names:
            if word.startswith("keep:"):
                kept = self.folder / ".kept"
                self.environment[word[5:]] = kept.read_text().strip()
                assert self.environment[word[5:]], f"{word[5:]} stayed empty: {out}"

    def _pod(self, selector, namespace, field):
        value = self._kubectl("get", "pods", "-n", namespace or "default", "-l", selector, "--field-selector=status.phase=Running", "-o",
                              f"jsonpath={{.items[0].{field}}}").strip()
        assert value, f"no running pod has {selector}"
        return value

    def _kubectl(self, *arguments):
        return subprocess.run(["kubectl", *arguments], env=self.environment, text=True, capture_output=True, check=True).stdout


# --- The document ------------------------------------------------------------------------------


def cell(text):
    """Code in a cell of a table: a bar would end the cell, even in code."""
    return "`" + text.replace("\n", " ⏎ ").replace("|", "\\|") + "`"


def document(lines):
    now = [line for line in lines if line.runs_now()]
    text = [
        "<!-- Written by tests/kube/kubectl_lines.py --write from tests/kube/kubectl_lines.tsv. -->",
        "# The tutorials' kubectl lines",
        "",
        f"Each of the {len(lines)} lines, whether it runs today, and what it prints then. The objects are those of",
        "[examples/kubernetes](../examples/kubernetes/README.md), with the images of `make image-docs`. A line that prints an empty table counts",
        "as failed. `<...>` is what you put in yourself; `-it` without a terminal prints one line more.",
        "",
        "| | lines |",
        "|---|---|",
        f"| run now | {len(now)} |",
    ]
    text += [f"| wait for {what} | {sum(line.runs == name for line in lines)} |" for name, what in WAITS.items()]
    text += ["", "`make test-kube-node` runs those of the first kind word for word on a real node (tests/kube/node_cases/kubectl.py).", ""]
    for title, some in [("Run now", now)] + [(f"Wait for {what}", [line for line in lines if line.runs == name])
                                             for name, what in WAITS.items()]:
        last = some is now
        text += [f"## {title}", "", "| document, line | command | expected |" + (" last result |" if last else ""),
                 "|---|---|---|" + ("---|" if last else "")]
        for line in some:
            at = line.at.replace(".md:", " ")
            note = notes(line)
            text.append(f"| {at} | {cell(line.command)}{note} | {cell(line.expected)} |" + (f" {line.last} |" if last else ""))
        text.append("")
    return "\n".join(text)


def notes(line):
    """What has to be so for the line to run, in words."""
    said = []
    if line.place("namespace"):
        said.append(f"in namespace {line.place('namespace')}")
    if line.place("folder"):
        said.append(f"in {line.place('folder')}")
    if line.place("requests"):
        said.append("after some requests")
    if line.place("prefills"):
        said.append("after a prompt was prefilled elsewhere")
    if line.place("fails"):
        said.append("fails, since this port speaks ZeroMQ and no HTTP; that something answers is what it tells")
    if line.place("metrics-server"):
        said.append("with metrics-server")
    said += [f"with an image made with --pip {word[6:]}" for word in line.names if word.startswith("image:")]
    return f" ({', '.join(said)})" if said else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    text = document(read_lines())
    if args.write:
        DOCUMENT.write_text(text)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        sys.exit("docs/KUBECTL.md is not what tests/kube/kubectl_lines.tsv says: tests/kube/kubectl_lines.py --write")


if __name__ == "__main__":
    main()
