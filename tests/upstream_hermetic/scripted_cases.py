"""Upstream's tests that are programs rather than tables: their steps in our words, their configurations and messages from
the copy."""
import re
import threading

from go_source import Expression, NotTranslated, balanced, function_source, map_of
from picker import DESTINATION, metadata_of, set_headers
from table_cases import without_mock


class CheckFailed(Exception):
    """What upstream's test asserts does not hold."""


def require(holds, what):
    if not holds:
        raise CheckFailed(what)


def config_in(source, function):
    return re.search(r"(?:configText|Config)\s*:?= `([^`]*)`", function_source(source, function)).group(1)


def call_in(source, function, call, names):
    """The value of the first call of that name in a function, with `names` for its variables."""
    text = function_source(source, function)
    at = text.index(call + "(")
    return Expression(call + balanced(text, at + len(call)), names).value()


class Session:
    """session_affinity_test.go"""

    def __init__(self, world):
        self.world, self.source = world, world.source("session_affinity_test.go")

    def transaction(self, picker, function, headers):
        """Where it went, and the headers of its answer."""
        names = dict(self.world.names, reqHeaders=headers)
        stream = picker.stream()
        try:
            for message in (call_in(self.source, function, "integration.ReqRaw", names) +
                            call_in(self.source, function, "ReqResponseOnly", names)):
                stream.send(*message)
            first, second, third = stream.next(), stream.next(), stream.next()
            require(second.HasField("request_body") and third.HasField("response_headers"), f"{second}, {third}")
            while not stream.next().response_body.response.body_mutation.streamed_response.end_of_stream:
                pass
        finally:
            stream.cancel()
        return (set_headers(first.request_headers.response.header_mutation)[DESTINATION],
                set_headers(third.response_headers.response.header_mutation))

    def headers(self, request_id, **more):
        names = self.world.names
        return {names["ObjectiveKey"]: names["modelMyModel"], names["ModelNameRewriteKey"]: names["modelMyModelTarget"],
                "x-request-id": request_id, **more}

    def token(self, test):
        target = self.world.names["modelMyModelTarget"]
        pods = [self.world.pod(index, 0, .1, [target]) for index in (0, 1)]
        with self.world.picker(pods, without_mock(config_in(self.source, test))) as picker:
            first, answer = self.transaction(picker, "sendSessionRequest", self.headers("session-req"))
            require(answer.get("x-session-token"), "no session token")
            for _ in range(5):
                second, _ = self.transaction(picker, "sendSessionRequest",
                                             self.headers("session-req", **{"x-session-token": answer["x-session-token"]}))
                require(second == first, f"{second} after {first}")

    def session_id(self, test):
        target = self.world.names["modelMyModelTarget"]
        pods = [self.world.pod(index, 0, .1, [target]) for index in (0, 1)]
        with self.world.picker(pods, without_mock(config_in(self.source, test))) as picker:
            def goes(number=[0], **headers):
                number[0] += 1
                fields = {key.replace("_", "-"): value for key, value in headers.items()}
                return self.transaction(picker, "sendRoutedRequest", self.headers(f"session-req-{number[0]}", **fields))[0]
            first = goes(x_session_id="sess-A")
            require({goes(x_session_id="sess-A") for _ in range(10)} == {first}, "the header's session moves")
            agent = goes(x_claude_code_session_id="agent-B")
            require({goes(x_claude_code_session_id="agent-B") for _ in range(10)} == {agent}, "the agent's session moves")
            require(goes(x_session_id="sess-A", x_claude_code_session_id="agent-B") == first, "the header does not win")

    def disaggregated(self, deciders, prefill_token):
        base = re.search(r"const pdConfigBase = `([^`]*)`", self.source).group(1)
        names = self.world.names
        pods = [self.world.pod(index, 0, 0.0, [names["modelMyModelTarget"]],
                               labels={"llm-d.ai/role": "prefill" if index < 2 else "decode"}) for index in range(4)]
        with self.world.picker(pods, without_mock(base.replace("%s", deciders))) as picker:
            first, answer = self.transaction(picker, "sendSessionRequest", self.headers("session-req"))
            require(answer.get("x-session-token"), "no decode token")
            require(bool(answer.get("x-session-token-prefill")) == prefill_token, f"prefill token: {answer}")
            second, _ = self.transaction(picker, "sendSessionRequest",
                                         self.headers("session-req", **{"x-session-token": answer["x-session-token"]}))
            require(second == first, f"{second} after {first}")


def flow_control(world):
    """dynamic_attributes_test.go: the second request waits until the first one's answer has ended."""
    source = world.source("dynamic_attributes_test.go")
    names = world.names
    bodies = [text.encode() for text in re.findall(r'Body:\s+\[\]byte\("([^"]*)"\)', source)]
    def send(picker, number):
        stream = picker.stream()
        stream.send("request_headers", {"hi": "mom", names["ObjectiveKey"]: names["modelMyModel"],
                                        names["ModelNameRewriteKey"]: names["modelMyModelTarget"],
                                        "x-request-id": f"req-{number}"}, False)
        stream.send("request_body", bodies[number - 1], True)
        return stream
    with world.picker([world.pod(0, 0, 0.0, [names["modelMyModelTarget"]])],
                      without_mock(config_in(source, "TestDynamicAttributes_Concurrency"))) as picker:
        first = send(picker, 1)
        require(first.next().HasField("request_headers") and first.next().HasField("request_body"), "the first")
        second, answer = send(picker, 2), []
        reader = threading.Thread(target=lambda: answer.append(second.next()), daemon=True)
        reader.start()
        reader.join(.5)
        require(not answer, "the second did not wait")
        first.send("response_headers", {"status": "200"}, False)
        first.send("response_body", b"done", True)
        reader.join(10)
        require(answer and answer[0].HasField("request_headers"), "the second was not let go")
        first.cancel(), second.cancel()


def endpoint_scores(world, emit):
    target = world.names["modelMyModelTarget"]
    pods = [world.pod(0, 0, .1, [target]), world.pod(1, 5, .5, [target])]
    flags = ["--emit-endpoint-scores"] if emit else []
    with world.picker(pods, without_mock(world.default_config), flags) as picker:
        stream = picker.stream()
        for message in world.builders.ReqLLM(None, "hello", world.names["modelMyModel"], target):
            stream.send(*message)
        metadata = metadata_of(stream.next())
        stream.cancel()
        chosen = metadata[DESTINATION].string_value.split(",")
        require(chosen[0], "no destination")
        key = DESTINATION + "-scores"
        require((key in metadata) == emit, f"scores: {dict(metadata)}")
        if emit:
            scores = metadata[key].struct_value.fields
            require(len(scores) == 2 and all(scores[name].number_value >= 0 for name in chosen), f"{scores}")


def scripted(world):
    """(name, what to call)."""
    session = Session(world)
    always = "      deciders:\n        prefill: always-disagg-pd-decider"
    return [
        ("TestSessionAffinityFilter_RequestFlow", lambda: session.token("TestSessionAffinityFilter_RequestFlow")),
        ("TestSessionAffinityScorer_RequestFlow", lambda: session.token("TestSessionAffinityScorer_RequestFlow")),
        ("TestSessionAffinityFilter_PDDisaggregated", lambda: session.disaggregated(always, True)),
        ("TestSessionAffinityFilter_DecodeOnly", lambda: session.disaggregated("      {}", False)),
        ("TestSessionAffinityFilter_SessionIDHeaderStrategy",
         lambda: session.session_id("TestSessionAffinityFilter_SessionIDHeaderStrategy")),
        ("TestSessionAffinityScorer_SessionIDHeaderStrategy",
         lambda: session.session_id("TestSessionAffinityScorer_SessionIDHeaderStrategy")),
        ("TestDynamicAttributes_Concurrency", lambda: flow_control(world)),
        ("TestEndpointScoresMetadata", lambda: endpoint_scores(world, True)),
        ("TestEndpointScoresMetadataOffByDefault", lambda: endpoint_scores(world, False)),
    ]
