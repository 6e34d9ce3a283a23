"""grpc_picker.py PORT HEALTH_PORT HOST:PORT,...: plays Envoy with grpcio for a picker of these endpoints."""
import json
import queue
import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc
from google.protobuf import struct_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
DESTINATION = "x-gateway-destination-endpoint"
BODY = json.dumps({"model": "m", "prompt": "word " * 40_000, "max_tokens": 4}).encode()
PIECES = [BODY[at:at + 65_536] for at in range(0, len(BODY), 65_536)]


def mode(name):
    return processing_mode_pb2.ProcessingMode.BodySendMode.Value(name)


def header_map(**headers):
    return base_pb2.HeaderMap(headers=[
        base_pb2.HeaderValue(key=key.replace("__", ":").replace("_", "-"), raw_value=value.encode())
        for key, value in headers.items()])


def request_headers(end_of_stream=False):
    headers = header_map(__method="POST", __path="/v1/completions", content_type="application/json")
    return pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=headers, end_of_stream=end_of_stream))


def response_headers():
    headers = header_map(__status="200", content_type="application/json")
    return pb.ProcessingRequest(response_headers=pb.HttpHeaders(headers=headers))


def request_body(data, last):
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=data, end_of_stream=last))


def response_body(data, last):
    return pb.ProcessingRequest(response_body=pb.HttpBody(body=data, end_of_stream=last))


class Stream:
    """One ext_proc stream, a message at a time, so that the order of answers is seen."""

    def __init__(self, stub, request_mode, response_mode, ahead=False):
        self.modes = pb.ProtocolConfiguration(request_body_mode=mode(request_mode), response_body_mode=mode(response_mode),
                                              send_body_without_waiting_for_header_response=ahead)
        self.queue = queue.SimpleQueue()
        self.answers = stub.Process(iter(self.queue.get, None), timeout=30)
        self.first = True

    def send(self, request):
        if self.first:
            request.protocol_config.CopyFrom(self.modes)
        self.first = False
        self.queue.put(request)

    def ask(self, request, kind):
        """Sends and takes the answer, which must be of that kind."""
        self.send(request)
        return self.take(kind)

    def take(self, kind):
        answer = next(self.answers)
        found = answer.WhichOneof("response")
        assert found == kind, f"{found} instead of {kind}: {str(answer)[:300]}"
        return answer

    def end(self):
        self.queue.put(None)
        assert list(self.answers) == []


def routed(answer, part, endpoints):
    """The endpoint that an answer names, in both places alike."""
    mutation = getattr(answer, part).response.header_mutation
    named = [option.header.raw_value.decode() for option in mutation.set_headers if option.header.key == DESTINATION]
    assert len(named) == 1 and named[0] in endpoints, mutation
    assert answer.dynamic_metadata["envoy.lb"][DESTINATION] == named[0]
    assert getattr(answer, part).response.clear_route_cache
    return named[0]


def says_nothing_of_routes(answer):
    assert not answer.HasField("dynamic_metadata") and DESTINATION not in str(answer), answer


def full_duplex(stub, endpoints):
    stream = Stream(stub, "FULL_DUPLEX_STREAMED", "FULL_DUPLEX_STREAMED")
    stream.send(request_headers())
    for piece in PIECES:
        stream.send(request_body(piece, piece is PIECES[-1]))
    routed(stream.take("request_headers"), "request_headers", endpoints)
    back, last = b"", False
    while not last:
        part = stream.take("request_body").request_body.response.body_mutation.streamed_response
        assert len(part.body) <= 62_000
        back, last = back + part.body, part.end_of_stream
    assert back == BODY
    says_nothing_of_routes(stream.ask(response_headers(), "response_headers"))
    for data, end in ((b"data: 1\n\n", False), (b"data: [DONE]\n\n", True)):
        part = stream.ask(response_body(data, end), "response_body").response_body.response.body_mutation.streamed_response
        assert (part.body, part.end_of_stream) == (data, end)
    stream.end()


def buffered(stub, endpoints):
    stream = Stream(stub, "BUFFERED", "NONE")
    says_nothing_of_routes(stream.ask(request_headers(), "request_headers"))
    answer = stream.ask(request_body(BODY, True), "request_body")
    routed(answer, "request_body", endpoints)
    assert not answer.request_body.response.HasField("body_mutation"), "the body was sent back"
    stream.end()


def headers_skipped(stub, endpoints):
    stream = Stream(stub, "BUFFERED", "NONE")
    routed(stream.ask(request_body(BODY, True), "request_body"), "request_body", endpoints)
    stream.end()


def streamed(stub, endpoints):
    """Envoy waits for the headers' answer, so the decision is in it."""
    stream = Stream(stub, "STREAMED", "STREAMED")
    routed(stream.ask(request_headers(), "request_headers"), "request_headers", endpoints)
    for piece in PIECES:
        says_nothing_of_routes(stream.ask(request_body(piece, piece is PIECES[-1]), "request_body"))
    stream.ask(response_headers(), "response_headers")
    stream.ask(response_body(b"x", True), "response_body")
    stream.end()


def streamed_ahead(stub, endpoints):
    """The body comes without waiting: the decision is the body's."""
    stream = Stream(stub, "STREAMED", "NONE", ahead=True)
    stream.send(request_headers())
    for piece in PIECES:
        stream.send(request_body(piece, piece is PIECES[-1]))
    routed(stream.take("request_headers"), "request_headers", endpoints)
    for _ in PIECES:
        says_nothing_of_routes(stream.take("request_body"))
    stream.end()


def without_body(stub, endpoints):
    stream = Stream(stub, "FULL_DUPLEX_STREAMED", "NONE")
    routed(stream.ask(request_headers(end_of_stream=True), "request_headers"), "request_headers", endpoints)
    stream.end()


def refused(stub, request, status, reason, body):
    stream = Stream(stub, "FULL_DUPLEX_STREAMED", "NONE")
    stream.send(request_headers())
    answer = stream.ask(request, "immediate_response").immediate_response
    assert answer.status.code == status, answer
    assert answer.body.startswith(body), answer.body
    reasons = [option.header.raw_value.decode() for option in answer.headers.set_headers
               if option.header.key == "x-llm-d-request-dropped-reason"]
    assert reasons == ([reason] if reason else []), answer
    stream.end()


def refusals(stub, _):
    refused(stub, request_body(b"[1]", True), 400, None, b"inference error: BadRequest - error unmarshaling")
    refused(stub, request_body(b"{}", True), 400, None, b"inference error: BadRequest - model not found in request body")
    outside = request_body(BODY, True)
    hint = struct_pb2.Struct()
    hint.update({"x-gateway-destination-endpoint-subset": ["10.9.9.9:1"]})
    outside.metadata_context.filter_metadata["envoy.lb.subset_hint"].CopyFrom(hint)
    refused(stub, outside, 503, "rejected-no-endpoints", b"inference error: ServiceUnavailable - failed to find endpoint")


def subset(stub, endpoints):
    stream = Stream(stub, "BUFFERED", "NONE")
    stream.ask(request_headers(), "request_headers")
    request = request_body(BODY, True)
    request.metadata_context.filter_metadata["envoy.lb.subset_hint"].update(
        {"x-gateway-destination-endpoint-subset": [endpoints[3]]})
    assert routed(stream.ask(request, "request_body"), "request_body", endpoints) == endpoints[3]
    stream.end()


def health(port):
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS))
    for service in ("", "liveness", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, (service, answer)


def main():
    endpoints = sys.argv[3].split(",")
    stub = rpc.ExternalProcessorStub(grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}", OPTIONS))
    for check in (full_duplex, buffered, headers_skipped, streamed, streamed_ahead, without_body, refusals, subset):
        for _ in range(20):
            check(stub, endpoints)
        print(f"grpcio: {check.__name__} ok")
    for port in (sys.argv[1], sys.argv[2]):
        health(port)
    print("grpcio: health ok")


if __name__ == "__main__":
    main()
