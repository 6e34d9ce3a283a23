"""What upstream's tests build their messages with, by the names that they have there; our words for the answers."""
import json


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class Builders:
    """`names`: constants of the copy; the functions of this class are added to it."""

    def __init__(self, names, map_of):
        self.names, self.map_of = names, map_of
        for name in dir(self):
            if name[0].isupper():
                names[name] = getattr(self, name)
        names.update(prio=lambda number: number, cleanMetric=lambda text: text, logger=None, commonTestCases=lambda _: [],
                     metricReqTotal=self.metric_requests, metricReadyPods=self.metric_ready)
        names.update(StatusCode_BadRequest=400, StatusCode_InternalServerError=500, StatusCode_ServiceUnavailable=503,
                     StatusCode_TooManyRequests=429)

    def Sprintf(self, pattern, *values):
        for value in values:
            at = pattern.index("%")
            text = json.dumps(value) if pattern[at + 1] == "q" else str(value)
            pattern = pattern[:at] + text + pattern[at + 2:]
        return pattern

    # Pods and requests.
    def P(self, index, queue, kv, *models):
        return {"index": index, "queue": queue, "kv": kv, "models": list(models)}

    def llm(self, prompt, model, target, subset=None, stream=False):
        headers = {"hi": "mom", "x-request-id": "test-request-id"}
        if model:
            headers[self.names["ObjectiveKey"]] = model
        if target:
            headers[self.names["ModelNameRewriteKey"]] = target
        body = {"prompt": prompt, "max_tokens": 100, "temperature": 0, "model": model}
        if stream:
            body["stream"] = True
        return [("request_headers", headers, False, subset), ("request_body", compact(body), True, subset)]

    def ReqLLM(self, _, prompt, model, target):
        return self.llm(prompt, model, target)

    def ReqLLMWithStream(self, _, prompt, model, target):
        return self.llm(prompt, model, target, stream=True)

    def ReqSubset(self, prompt, model, target, *subset):
        return self.llm(prompt, model, target, list(subset))

    def ReqRaw(self, headers, *chunks):
        bodies = [("request_body", chunk.encode(), i == len(chunks) - 1, None) for i, chunk in enumerate(chunks)]
        return [("request_headers", self.map_of(headers, self.names), False, None), *bodies]

    def ReqHeaderOnly(self, headers):
        return [("request_headers", self.map_of(headers, self.names), True, None)]

    def ReqResponseOnly(self, headers, *chunks):
        bodies = [("response_body", chunk.encode(), i == len(chunks) - 1, None) for i, chunk in enumerate(chunks)]
        return [("response_headers", self.map_of(headers, self.names), False, None), *bodies]

    # Answers.
    def routed(self, endpoint, body):
        return [("request_headers", endpoint, len(body)), ("request_body", body, True)]

    def ExpectRouteTo(self, endpoint, model, prompt):
        return self.routed(endpoint, compact({"max_tokens": 100, "model": model, "prompt": prompt, "temperature": 0}))

    def ExpectRouteToWithStream(self, endpoint, model, prompt):
        return self.routed(endpoint, compact({"max_tokens": 100, "model": model, "prompt": prompt, "temperature": 0,
                                              "stream": True}))

    def ExpectPassthroughRouteTo(self, endpoint, body):
        return self.routed(endpoint, body)

    def ExpectReject(self, status, text):
        return [("immediate", status, text, None)]

    def ExpectRejectWithDropReason(self, status, text, reason):
        return [("immediate", status, text, reason)]

    def ExpectBufferResp(self, body, _):
        return [("response_headers",), ("response_body", body.encode(), True)]

    def ExpectStreamResp(self, *chunks):
        return [("response_headers",), ("response_body", "".join(chunks).encode(), True)]

    # Metrics: the lines that must be on the page.
    def metric_requests(self, model, target, priority):
        return (f'inference_objective_request_total{{model_name="{model}",priority="{priority}",'
                f'target_model_name="{target}"}} 1')

    def metric_ready(self, count):
        return f'inference_pool_ready_pods{{name="{self.names["testPoolName"]}"}} {count}'
