"""The load: deterministic prompts, and wrk as the client."""

import json
import random
import subprocess
from pathlib import Path

from vocabulary import WORDS, token_ids

MODEL = "bench"
POOL = 64       # distinct prompts of one size
FAMILIES = 8    # each family of prompts shares its first half, as requests with one system prompt do
KINDS = ["text", "ids"]    # of prompts: a text, or the ids of its tokens
SCRIPT = Path(__file__).resolve().parent / "prompts.lua"

REPLY = json.dumps({
    "id": "cmpl-bench", "object": "text_completion", "created": 1, "model": MODEL,
    "choices": [{"index": 0, "text": " and so it was done before the end of the day", "logprobs": None,
                 "finish_reason": "length", "stop_reason": None}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 11, "total_tokens": 211},
}, separators=(",", ":"))


def prompts(tokens):
    """The prompts of one size as lists of words; the same on every machine and in every run."""
    rng = random.Random(tokens)
    shared = tokens // 2
    heads = [rng.choices(WORDS, k=shared) for _ in range(FAMILIES)]
    tails = [rng.choices(WORDS, k=tokens - shared) for _ in range(POOL)]
    return [heads[i % FAMILIES] + tail for i, tail in enumerate(tails)]


def body(prompt):
    """A completion of a text or of a list of token ids, which clients write without spaces."""
    return f'{{"model": "{MODEL}", "prompt": {json.dumps(prompt, separators=(",", ":"))}, "max_tokens": 16}}'


def bodies(tokens, kind):
    """The request bodies of one prompt size: each prompt as text, or as the ids of its tokens."""
    return [body(token_ids(words) if kind == "ids" else " ".join(words)) for words in prompts(tokens)]


def load_name(tokens, kind):
    return f"{tokens:,} tokens" if kind == "text" else f"{tokens:,} token ids"


def write_bodies(directory, name, lines):
    """Writes request bodies one a line; returns the file and the mean size of a body in bytes."""
    path = Path(directory) / f"{name}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path, sum(map(len, lines)) // len(lines)


class LoadFailed(Exception):
    pass


def wrk(program, url, bodies_file, connections, seconds, fields=None):
    """Runs wrk once, with `fields` in each request; returns the numbers that prompts.lua prints."""
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT, url, "--", bodies_file,
               *(f"{name}={value}" for name, value in (fields or {}).items())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"wrk did not end within {seconds + 60} s") from None
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise LoadFailed(f"wrk gave no result: {(done.stderr or done.stdout).strip()}")
