"""Asks a picker as Envoy does, over ext_proc, and holds the streams: what they book stays in flight."""
import collections
import json

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

DESTINATION = "x-gateway-destination-endpoint"
BODY = json.dumps({"model": "Qwen/Qwen3-32B", "prompt": "word " * 200, "stream": True}).encode()


class PickerClient:
    def __init__(self, port):
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = rpc.ExternalProcessorStub(self.channel)
        self.held = []

    async def pick(self, subset=(), session=""):
        """Where the picker sends a request whose stream then stays open."""
        call = self.stub.Process()
        self.held.append(call)
        fields = {":method": "POST", ":path": "/v1/completions", "content-type": "application/json"}
        if session:
            fields["x-session-id"] = session
        first = pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=base_pb2.HeaderMap(headers=[
            base_pb2.HeaderValue(key=key, raw_value=value.encode()) for key, value in fields.items()])))
        if subset:
            hint = first.metadata_context.filter_metadata["envoy.lb.subset_hint"]
            hint.update({"x-gateway-destination-endpoint-subset": list(subset)})
        await call.write(first)
        await call.write(pb.ProcessingRequest(request_body=pb.HttpBody(body=BODY, end_of_stream=True)))
        answer = await call.read()
        for option in answer.request_headers.response.header_mutation.set_headers:
            if option.header.key == DESTINATION:
                return option.header.raw_value.decode()
        raise AssertionError(f"no destination in {answer}")

    async def pick_many(self, count, **arguments):
        return collections.Counter([await self.pick(**arguments) for _ in range(count)])

    async def close(self):
        for call in self.held:
            call.cancel()
        await self.channel.close()
