"""Prints the vectors of README.md."""
from envoy.config.core.v3 import base_pb2 as base
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb


def header_map(*pairs):
    return base.HeaderMap(headers=[base.HeaderValue(key=k, **{"raw_value": v} if isinstance(v, bytes) else {"value": v})
                                   for k, v in pairs])


def option(key, value, action=0):
    return base.HeaderValueOption(header=base.HeaderValue(key=key, raw_value=value), append_action=action)


def requests():
    first = pb.ProcessingRequest(request_headers=pb.HttpHeaders(
        headers=header_map((":path", b"/v1/completions"), ("X-Request-Id", "abc"), ("empty", "")), end_of_stream=True))
    first.request_headers.attributes["a"].update({"skipped": [1, "two", None]})
    first.attributes["b"].update({"skipped": True})
    first.metadata_context.filter_metadata["other"].update({"x-gateway-destination-endpoint-subset": ["no"]})
    first.metadata_context.filter_metadata["envoy.lb.subset_hint"].update(
        {"zzz": 1, "x-gateway-destination-endpoint-subset": ["10.0.0.1:8000", 7, "10.0.0.2:8000"]})
    first.protocol_config.request_body_mode = 4
    first.protocol_config.response_body_mode = 2
    first.protocol_config.send_body_without_waiting_for_header_response = True
    first.observability_mode = True
    yield "request_headers", first
    body = pb.ProcessingRequest(request_body=pb.HttpBody(body=b'{"a":1}\0\xff', end_of_stream=True))
    body.metadata_context.filter_metadata["envoy.lb.subset_hint"].update(
        {"x-gateway-destination-endpoint-subset": "10.0.0.3:8000"})
    yield "request_body", body
    empty = pb.ProcessingRequest(request_body=pb.HttpBody())
    empty.metadata_context.filter_metadata["envoy.lb.subset_hint"].update({"x-gateway-destination-endpoint-subset": []})
    yield "request_body_empty_subset", empty
    number = pb.ProcessingRequest(request_body=pb.HttpBody())
    number.metadata_context.filter_metadata["envoy.lb.subset_hint"].update({"x-gateway-destination-endpoint-subset": 7})
    yield "request_body_number_subset", number
    response = pb.ProcessingRequest(response_headers=pb.HttpHeaders(headers=header_map((":status", b"200"))))
    response.metadata_context.filter_metadata["envoy.lb"].update(
        {"x-gateway-destination-endpoint-served": "10.0.0.1:8000"})
    yield "response_headers", response
    yield "response_body", pb.ProcessingRequest(response_body=pb.HttpBody(body=b"data: x\n\n"))
    yield "request_trailers", pb.ProcessingRequest(request_trailers=pb.HttpTrailers())
    yield "response_trailers", pb.ProcessingRequest(
        response_trailers=pb.HttpTrailers(trailers=header_map(("grpc-status", b"0"))))


def answers():
    common = pb.CommonResponse(clear_route_cache=True, header_mutation=pb.HeaderMutation(
        set_headers=[option("x-gateway-destination-endpoint", b"10.0.0.1:8000"), option("content-length", b"12")],
        remove_headers=["x-secret"]))
    picked = pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=common))
    picked.dynamic_metadata.update({"envoy.lb": {"x-gateway-destination-endpoint": "10.0.0.1:8000"}})
    picked.mode_override.response_header_mode = 2
    picked.mode_override.response_body_mode = 4
    picked.mode_override.response_trailer_mode = 2
    yield "answer_request_headers", picked
    scored = pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=pb.CommonResponse(clear_route_cache=True)))
    scored.dynamic_metadata.update({"envoy.lb": {
        "x-gateway-destination-endpoint": "10.0.0.2:8000",
        "x-gateway-destination-endpoint-scores": {"10.0.0.1:8000": 0, "10.0.0.2:8000": 2.8}}})
    yield "answer_scores", scored
    replace = pb.CommonResponse(status=1, body_mutation=pb.BodyMutation(body=b"whole"))
    yield "answer_replace", pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=replace))
    overwrite = pb.CommonResponse(header_mutation=pb.HeaderMutation(set_headers=[option("a", b"b", 2)]))
    yield "answer_response_headers", pb.ProcessingResponse(response_headers=pb.HeadersResponse(response=overwrite))
    yield "answer_response_headers_empty", pb.ProcessingResponse(response_headers=pb.HeadersResponse())
    for size in (3, 130, 62000):
        streamed = pb.StreamedBodyResponse(body=b"x" * size, end_of_stream=True)
        yield f"answer_streamed_{size}", pb.ProcessingResponse(request_body=pb.BodyResponse(
            response=pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=streamed))))
    yield "answer_body_empty", pb.ProcessingResponse(request_body=pb.BodyResponse())
    yield "answer_body_replaced", pb.ProcessingResponse(response_body=pb.BodyResponse(
        response=pb.CommonResponse(body_mutation=pb.BodyMutation(body=b"new"))))
    body_pick = pb.ProcessingResponse(request_body=pb.BodyResponse(response=pb.CommonResponse(
        clear_route_cache=True, body_mutation=pb.BodyMutation(body=b"new"),
        header_mutation=pb.HeaderMutation(set_headers=[option("a", b"b")]))))
    body_pick.dynamic_metadata.update({"envoy.lb": {"x-gateway-destination-endpoint": "10.0.0.1:8000"}})
    yield "answer_body_pick", body_pick
    yield "answer_body_cleared", pb.ProcessingResponse(response_body=pb.BodyResponse(
        response=pb.CommonResponse(body_mutation=pb.BodyMutation(clear_body=True))))
    yield "answer_trailers", pb.ProcessingResponse(response_trailers=pb.TrailersResponse())
    immediate = pb.ImmediateResponse(body=b'{"error":"busy"}', details="shed")
    immediate.status.code = 429
    immediate.headers.set_headers.append(option("x-reason", b"rejected-saturated"))
    yield "answer_immediate", pb.ProcessingResponse(immediate_response=immediate)


def main():
    for name, message in list(requests()) + list(answers()):
        data = message.SerializeToString(deterministic=True)
        if name.startswith("answer_streamed_"):  # only what stands before the body's bytes matters at this size
            size = int(name.rpartition("_")[2])
            data = data.replace(b"x" * size, b"", 1) if size == 62000 else data
        print(f"{name}\t{data.hex()}")


if __name__ == "__main__":
    main()
