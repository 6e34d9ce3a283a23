"""grpc_client.py PORT: talks to a picker with grpcio: a whole ext_proc exchange, the health service, and errors."""
import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ENDPOINT = "x-gateway-destination-endpoint"


def exchange(stub, body):
    headers = base_pb2.HeaderMap(headers=[base_pb2.HeaderValue(key=":path", raw_value=b"/v1/completions")])
    requests = [pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=headers)),
                pb.ProcessingRequest(request_body=pb.HttpBody(body=body[:70000])),
                pb.ProcessingRequest(request_body=pb.HttpBody(body=body[70000:], end_of_stream=True)),
                pb.ProcessingRequest(response_headers=pb.HttpHeaders(headers=headers)),
                pb.ProcessingRequest(response_body=pb.HttpBody(body=b"answer", end_of_stream=True))]
    answers = list(stub.Process(iter(requests)))
    kinds = [answer.WhichOneof("response") for answer in answers]
    first = answers[0]
    assert first.request_headers.response.clear_route_cache
    picked = first.request_headers.response.header_mutation.set_headers[0].header
    assert picked.key == ENDPOINT, picked
    assert first.dynamic_metadata["envoy.lb"][ENDPOINT] == picked.raw_value.decode()
    pieces = [a.request_body.response.body_mutation.streamed_response for a in answers if a.HasField("request_body")]
    assert b"".join(piece.body for piece in pieces) == body
    assert [piece.end_of_stream for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece.body) <= 62000 for piece in pieces)
    assert kinds[-2:] == ["response_headers", "response_body"], kinds
    last = answers[-1].response_body.response.body_mutation.streamed_response
    assert last.body == b"answer" and last.end_of_stream


def expect_code(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return
    raise AssertionError(f"expected {code}")


def main():
    channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}", OPTIONS)
    stub = rpc.ExternalProcessorStub(channel)
    for _ in range(200):
        exchange(stub, b"x" * 800)
    for _ in range(20):
        exchange(stub, bytes(range(256)) * 2000)
    exchange(stub, b"y" * 20_000_000)
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(service="x")).status == 1
    expect_code(grpc.StatusCode.UNIMPLEMENTED,
                lambda: next(health.Watch(health_pb2.HealthCheckRequest())))
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(channel.stream_stream(
        "/envoy.service.ext_proc.v3.ExternalProcessor/Process")(iter([b"\xff\xff\xff"]))))
    expect_code(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/no.Such/Method")(b""))
    expect_code(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary(
        "/grpc.health.v1.Health/Check")(b"\0" * 10000, compression=grpc.Compression.Gzip))
    print("grpcio: exchanges, health and refusals as expected")


if __name__ == "__main__":
    main()
