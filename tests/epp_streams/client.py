"""client.py PORT STREAMS CHANNELS: plays Envoy with grpcio for many requests that are all being answered at once.

Each stream sends a request's headers and body, takes the decision and its body, and begins its answer. It prints "held" when
all of them stand there, waits for a line on stdin, and then lets every answer end. Prints "ended"; any error ends it with 1.
"""
import asyncio
import json
import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

DESTINATION = "x-gateway-destination-endpoint"
AT_ONCE = 256  # streams that are being begun


def header_map(**headers):
    return base_pb2.HeaderMap(headers=[base_pb2.HeaderValue(key=key.replace("__", ":").replace("_", "-"), raw_value=value)
                                       for key, value in headers.items()])


REQUEST = pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=header_map(
    __method=b"POST", __path=b"/v1/completions", content_type=b"application/json")))
ANSWER = pb.ProcessingRequest(response_headers=pb.HttpHeaders(headers=header_map(
    __status=b"200", content_type=b"text/event-stream")))
TOKEN = pb.ProcessingRequest(response_body=pb.HttpBody(body=b'data: {"choices":[{"text":"a"}]}\n\n'))
LAST = pb.ProcessingRequest(response_body=pb.HttpBody(body=b"data: [DONE]\n\n", end_of_stream=True))


def body_of(number):
    data = json.dumps({"model": "m", "prompt": f"{number} " + "word " * 200, "max_tokens": 100, "stream": True}).encode()
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=data, end_of_stream=True)), data


async def take(call, kind):
    answer = await call.read()
    if answer is grpc.aio.EOF:
        raise RuntimeError(f"the stream ended before {kind}: {await call.code()} {await call.details()}")
    if answer.WhichOneof("response") != kind:
        raise RuntimeError(f"{answer.WhichOneof('response')} instead of {kind}: {str(answer)[:200]}")
    return answer


async def begin(stub, number, gate):
    """A stream up to its answer's first token."""
    async with gate:
        call = stub.Process()
        body, data = body_of(number)
        await call.write(REQUEST)
        await call.write(body)
        decision = await take(call, "request_headers")
        if not decision.dynamic_metadata["envoy.lb"][DESTINATION]:
            raise RuntimeError(f"no decision: {decision}")
        back = await take(call, "request_body")
        if back.request_body.response.body_mutation.streamed_response.body != data:
            raise RuntimeError("the body came back changed")
        await call.write(ANSWER)
        await take(call, "response_headers")
        await call.write(TOKEN)
        await take(call, "response_body")
        return call


async def end(call, gate):
    async with gate:
        await call.write(LAST)
        answer = await take(call, "response_body")
        if not answer.response_body.response.body_mutation.streamed_response.end_of_stream:
            raise RuntimeError("the answer's end was lost")
        await call.done_writing()
        if await call.read() is not grpc.aio.EOF or await call.code() != grpc.StatusCode.OK:
            raise RuntimeError(f"it ended with {await call.code()}")


async def main(port, streams, channels):
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection for each channel
    open_channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(channels)]
    stubs = [rpc.ExternalProcessorStub(channel) for channel in open_channels]
    gate = asyncio.Semaphore(AT_ONCE)
    calls = await asyncio.gather(*(begin(stubs[number % channels], number, gate) for number in range(streams)))
    print("held", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.gather(*(end(call, gate) for call in calls))
    print("ended", flush=True)
    for channel in open_channels:
        await channel.close()


if __name__ == "__main__":
    asyncio.run(main(*(int(text) for text in sys.argv[1:4])))
