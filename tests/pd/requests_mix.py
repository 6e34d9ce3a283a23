"""Requests of every kind that two legs have to carry, and the prefill legs of them."""

import random

WORDS = "river stone lamp north seven glass under every morning paper window little bright river".split()


def mixed_requests(count, seed=5, tokens_most=1500):
    """(path, body): lengths, streams, chats and completions, stop texts, shared beginnings."""
    rng = random.Random(seed)
    shared = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(50, 400))) for _ in range(8)]
    requests = []
    for number in range(count):
        length = rng.choice((3, 20, 60, 150, 300, tokens_most))
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, length)))
        if rng.random() < 0.4:
            text = rng.choice(shared) + " " + text
        body = {"max_tokens": rng.randint(1, 60), "temperature": rng.choice((0, 0.7, 1))}
        if rng.random() < 0.2:
            body["stop"] = rng.choice(["e s", "ing", ["t", "zz"], "r "])
        if rng.random() < 0.4:
            body["stream"] = True
            if rng.random() < 0.5:
                body["stream_options"] = {"include_usage": True}
        if rng.random() < 0.5:
            requests.append(("/v1/completions", {"prompt": text, **body}))
        else:
            messages = [{"role": "user", "content": text}]
            if rng.random() < 0.3:
                messages.insert(0, {"role": "system", "content": shared[number % len(shared)]})
            requests.append(("/v1/chat/completions", {"messages": messages, **body}))
    return requests


def prefill_leg(body):
    leg = {key: value for key, value in body.items() if key not in ("stream", "stream_options", "stop")}
    leg["max_tokens"] = 1
    return leg
