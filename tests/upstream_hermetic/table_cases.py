"""The tables of test cases ([]testCase) of upstream's hermetic tests: each case played, and what came compared."""
import re

from go_source import Expression, NotTranslated, balanced
from picker import DESTINATION, counts, metadata_of, set_headers

MOCK = "mock-metrics-source"


def cases_of(source, names):
    """Every case of every table in a file, in order."""
    for match in re.finditer(r"\[\]testCase\{", source):
        table = Expression("[]testCase" + balanced(source, match.end() - 1), names).value()
        yield from (case for case in table if isinstance(case, dict))


def without_mock(config):
    """Their tests put metrics in with a plugin of the tests; ours come from the endpoints' pages."""
    config = re.sub(rf"^ *- type: {MOCK}\n", "", config, flags=re.M)
    return re.sub(rf"^dataLayer:\n  sources:\n  - pluginRef: {MOCK}\n?", "", config, flags=re.M)


def translated(value):
    if isinstance(value, NotTranslated):
        raise value
    if isinstance(value, list):
        for entry in value:
            translated(entry)
    return value


def read(stream, kinds_wanted):
    """The answers until what was wanted is complete, in the words of builders.py; bodies are joined."""
    answers = []
    for kind in kinds_wanted:
        if kind.endswith("body"):
            body, end = b"", False
            while not end:
                piece = getattr(stream.next(), kind).response.body_mutation.streamed_response
                body, end = body + piece.body, piece.end_of_stream
            answers.append((kind, body, end))
            continue
        answer = stream.next()
        got = answer.WhichOneof("response")
        if got == "immediate_response":
            reason = set_headers(answer.immediate_response.headers).get("x-llm-d-request-dropped-reason")
            refusal = answer.immediate_response
            answers.append(("immediate", refusal.status.code, refusal.body.decode(), reason))
            return answers
        answers.append((got, answer))
    return answers


def differences(wanted, got, stream, picker):
    """In words; empty when they are equal but for what docs/EPP.md lists."""
    for want, have in zip(wanted, got):
        if want[0] != have[0]:
            return f"{have} instead of {want[0]}"
        if want[0] == "request_headers":
            found = routing_difference(want, have[1].request_headers.response, have[1], stream, picker)
            if found:
                return found
        elif want[0] == "response_headers":
            changed = {key: value for key, value in set_headers(have[1].response_headers.response.header_mutation).items()
                       if stream.headers.get(key) != value}
            if changed != {"x-went-into-resp-headers": "true"}:
                return f"response headers {changed}"
        elif tuple(want) != tuple(have):
            return f"{have} instead of {want}"
    return "" if len(wanted) == len(got) else f"{len(got)} answers instead of {len(wanted)}"


def routing_difference(want, response, answer, stream, picker):
    headers = set_headers(response.header_mutation)
    destination = picker.translate(want[1])
    if headers.get(DESTINATION) != destination:
        return f"picked {headers.get(DESTINATION)} instead of {destination} ({want[1]})"
    metadata = metadata_of(answer)
    if metadata[DESTINATION].string_value != destination or len(metadata) != 1:
        return f"metadata {dict(metadata)}"
    if headers.get("content-length") != str(want[2]):
        return f"Content-Length {headers.get('content-length')} instead of {want[2]}"
    if not response.clear_route_cache:
        return "the route cache is not cleared"
    known = {DESTINATION, "content-length", "x-request-id"}
    changed = {key for key, value in headers.items() if key not in known and stream.headers.get(key) != value}
    return f"other headers are changed: {changed}" if changed else ""


def play(case, world):
    """What differs, or nothing; raises NotTranslated."""
    if case.get("requiresCRDs"):
        raise NotTranslated("needs a resource of Kubernetes (InferenceModelRewrite)")
    requests = translated(case["requests"])
    wanted = translated(case.get("wantResponses")) or []
    pods = [world.pod(**pod) for pod in translated(case.get("pods")) or []]
    config = translated(case.get("configText")) or world.default_config
    with world.picker(pods, without_mock(config)) as picker:
        stream = picker.stream()
        try:
            for request in requests:
                stream.send(*request)
            got = read(stream, [want[0] for want in wanted])
            found = differences(wanted, got, stream, picker)
        finally:
            stream.cancel()
        metrics = case.get("wantMetrics") or {}
        return found or world.metrics_difference(picker, metrics)


def metric_lines(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def missing_metric(page, metrics):
    for value in metrics.values():
        for line in metric_lines(translated(value)):
            if not counts(page, line):
                return f"no metric {line}"
    return ""
