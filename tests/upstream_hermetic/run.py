#!/usr/bin/env python3
"""llm-d's hermetic tests, played against `kvasir epp`.

    make test-upstream-hermetic UPSTREAM=/path/to/llm-d-router      # a checkout or a git directory

Reads requests, pods, configurations and expected answers from the Go tests of the copy (test/integration/epp), gives
the picker endpoints that show the metrics of those pods, sends the messages over ext_proc and compares what comes
back. Nothing of the copy is kept. What has no counterpart is named and counted. grpcio comes from PyPI into a virtual
environment (--venv), made when it is missing.

Exit code 1: a case differs beyond what docs/EPP.md lists. 0 without a copy: it says that it was skipped.
"""
import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from builders import Builders
from go_source import Copy, NotTranslated, map_of, string_constants

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "test/integration/epp"
PACKAGES = ["grpcio", "xds-protos"]
CONSTANTS = ["pkg/epp/metadata/consts.go", "pkg/common/request/constants.go", "pkg/common/error/error.go",
             "test/integration/util.go"]
WHY_NOT = {
    "grpc_test.go": "its messages are made from vLLM's protobuf definitions, which this harness does not have",
    "wellknown_configs_test.go": "looks into upstream's plugin handle; make test-upstream-configs starts these files",
    "e2e_config_smoke_test.go": "starts configurations; make test-upstream-configs does",
    "k8s_datasource_integration_test.go": "needs the API server of Kubernetes",
    "runtime_notification_test.go": "calls upstream's data layer as a Go package",
    "runtime_polling_test.go": "calls upstream's data layer as a Go package",
    "request_attribute_reporter_test.go": "needs request-attribute-reporter, which is not built",
    "request_attribute_reporter_streaming_test.go": "needs request-attribute-reporter, which is not built",
    "datalayer_integration_test.go": "the shared table again, which is played from common_tests.go",
}


class World:
    """What every case needs."""

    def __init__(self, kvasir, copy, folder):
        self.kvasir, self.copy, self.folder, self.started = kvasir, copy, Path(folder), 0
        self.names = {}
        for name in CONSTANTS + [f"{FOLDER}/{file}" for file in ("harness.go", "common_tests.go", "hermetic_test.go")]:
            self.names.update(string_constants(copy.read(name)))
        self.builders = Builders(self.names, map_of)
        self.default_config = copy.read(f"{FOLDER}/testdata/datalayer-config.yaml")
        resources = copy.read("test/testdata/inferencepool-with-model-hermetic.yaml").split("\n---")
        self.objectives = {}
        for text in resources:
            name, priority = re.search(r"^  name: (\S+)", text, re.M), re.search(r"^  priority: (-?\d+)", text, re.M)
            if "kind: InferenceObjective" in text and priority:
                self.objectives[name.group(1)] = int(priority.group(1))

    def source(self, file):
        return self.copy.read(f"{FOLDER}/{file}")

    def pod(self, index, queue, kv, models, labels=None):
        from picker import Pod
        return Pod(index, queue, kv, models, labels)

    @contextlib.contextmanager
    def picker(self, pods, config, flags=()):
        from picker import Picker
        self.started += 1
        folder = self.folder / str(self.started)
        folder.mkdir()
        picker = None
        try:
            picker = Picker(self.kvasir, folder, pods, config, self.objectives, self.names["testPoolName"], flags)
            yield picker
        finally:
            if picker is not None:
                picker.close()
            for pod in pods:
                pod.close()

    def metrics_difference(self, picker, metrics):
        from table_cases import missing_metric
        return missing_metric(picker.page(), metrics)


# Differences that docs/EPP.md lists under "Against upstream's hermetic tests": case, and what the difference must look like.
LISTED = {
    "invalid json body": r"'immediate', 400, 'inference error: BadRequest - error unmarshaling request bodyMap: .* instead of",
    "response streaming: SSE token counting": r"no metric inference_objective_input_tokens",
}


def outcome(name, play):
    """(verdict, reason)"""
    from scripted_cases import CheckFailed
    verdict, reason = tried(play, CheckFailed)
    if verdict == "different" and re.search(LISTED.get(name, "$^"), reason):
        return "listed", reason
    return verdict, reason


def tried(play, CheckFailed):
    try:
        difference = play()
        return ("different", difference) if difference else ("equal", "")
    except NotTranslated as reason:
        return "not translated", str(reason)
    except CheckFailed as failure:
        return "different", str(failure)
    except RuntimeError as error:
        missing = re.search(r"[\w-]+ is experimental upstream and not built|plugin type '[\w-]+' is not built", str(error))
        return ("not translated", missing.group()) if missing else ("different", str(error))
    except Exception as error:  # the case's own trouble; the others go on
        traceback.print_exc(limit=2)
        return "different", f"{type(error).__name__}: {str(error)[:300]}"


def all_cases(world):
    """(file, name, what to call, or None and why not)."""
    from scripted_cases import scripted
    from table_cases import cases_of, play
    programs = dict(scripted(world))
    for path in world.copy.files(FOLDER):
        file = path.rsplit("/", 1)[-1]
        if not file.endswith(".go"):
            continue
        source = world.source(file)
        if file in ("common_tests.go", "hermetic_test.go"):
            for case in cases_of(source, world.names):
                yield file, str(case["name"]), lambda case=case: play(case, world), ""
            continue
        for test in re.findall(r"^func (Test\w+)\(", source, re.M):
            names = re.findall(r'^\t{3}name:\s+"([^"]*)"', source, re.M) if file == "grpc_test.go" else [""]
            for name in names:
                title = f"{test}: {name}" if name else test
                why = "" if test in programs else WHY_NOT.get(file, "no counterpart is written")
                yield file, title, programs.get(test), why


def played(world):
    counts = {"equal": 0, "listed": 0, "different": 0, "not translated": 0}
    for file, name, call, why in all_cases(world):
        verdict, reason = outcome(name, call) if call else ("not translated", why)
        counts[verdict] += 1
        print(f"{verdict:14}  {file[:-3]}: {name}" + (f"\n                  {reason}" if reason else ""), flush=True)
    return counts


def in_environment(arguments):
    """Starts this program again with a python that has grpcio."""
    python = arguments.venv / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PACKAGES)} into {arguments.venv}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(arguments.venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--in-environment"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", default="", help="a checkout or git directory of llm-d-router")
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--venv", type=Path, default=ROOT / "build/venv-hermetic")
    parser.add_argument("--in-environment", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.upstream:
        print("SKIPPED: no copy of llm-d-router was given (UPSTREAM=, --upstream): nothing was compared")
        return 0
    if not arguments.in_environment:
        in_environment(arguments)
    copy = Copy(arguments.upstream, arguments.revision)
    print(f"llm-d-router {copy.commit()}")
    with tempfile.TemporaryDirectory() as folder:
        counts = played(World(arguments.kvasir, copy, folder))
    print(f"{counts['equal']} equal, {counts['listed']} equal but for a difference that docs/EPP.md lists, "
          f"{counts['different']} different, {counts['not translated']} not translated")
    return 1 if counts["different"] or not counts["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
