"""The load: deterministic prompts, and wrk as the client."""

import json
import random
import subprocess
from pathlib import Path

MODEL = "bench"
POOL = 64       # distinct prompts of one size
FAMILIES = 8    # each family of prompts shares its first half, as requests with one system prompt do
SCRIPT = Path(__file__).resolve().parent / "prompts.lua"

# With the space after it, a word takes 4.5 bytes on average: about one token of English text.
WORDS = """a an at be by do go he if in is it me my no of on or so to up us we and are ask bad big box boy but buy can car cut day
did dog end eye far few for get got had has her him his hot how its job key law let lot low man may men new not now off oil old
one our out own pay put red run saw say sea see set she sit six sun ten the too top try two use war was way who why win yes yet
you able area away back bank base best body book both call came care case city come cost dark days deal door down each even face
fact fall feel felt find fire form free full gave girl give goes gone good hand have head hear help here high home hour idea just
keep kind know land last left less life line list live long look lost made main make many mean more most move much must name near
about after again being below board bring build carry cause child class clear could doing early every field final first found
great group heart house human large later learn level light might money month""".split()

REPLY = json.dumps({
    "id": "cmpl-bench", "object": "text_completion", "created": 1, "model": MODEL,
    "choices": [{"index": 0, "text": " and so it was done before the end of the day", "logprobs": None,
                 "finish_reason": "length", "stop_reason": None}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 11, "total_tokens": 211},
}, separators=(",", ":"))


def bodies(tokens):
    """The request bodies of one prompt size; the same on every machine and in every run."""
    rng = random.Random(tokens)
    shared = tokens // 2
    heads = [" ".join(rng.choices(WORDS, k=shared)) for _ in range(FAMILIES)]
    tails = [" ".join(rng.choices(WORDS, k=tokens - shared)) for _ in range(POOL)]
    return [json.dumps({"model": MODEL, "prompt": f"{heads[i % FAMILIES]} {tail}", "max_tokens": 16})
            for i, tail in enumerate(tails)]


def write_bodies(directory, tokens):
    """Writes the bodies one a line; returns the file and the mean size of a body in bytes."""
    lines = bodies(tokens)
    path = Path(directory) / f"bodies-{tokens}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path, sum(map(len, lines)) // len(lines)


class LoadFailed(Exception):
    pass


def wrk(program, url, bodies_file, connections, seconds):
    """Runs wrk once; returns the numbers that prompts.lua prints."""
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT, url, "--", bodies_file]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"wrk did not end within {seconds + 60} s") from None
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise LoadFailed(f"wrk gave no result: {(done.stderr or done.stdout).strip()}")
