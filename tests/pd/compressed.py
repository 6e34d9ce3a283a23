"""Blocks that travel as 8-bit integers: what the answers and the blocks of a pair may differ in, and in what not.

docs/KV_TRANSFER.md says it: texts differ, lengths do not; nor do answers to prompts without a full block, or answers
that have to fit; and no value of a block moves further than the bound.
"""

import random
import struct
import time

from fleet import Worker
from identity import comes_to_rest, in_parallel
from requests_mix import WORDS, prefill_leg
from ways import Pair, Way

FREE, SHORT, FITS = 16, 4, 4  # requests of each kind
BLOCK_TOKENS, LAYERS = 16, 4
PACKED_BYTES = 4096 // 2 + LAYERS * 4  # of a block: a byte for each value, a scale for each layer


def some_requests(seed=6):
    """(path, body): those whose texts may differ, and those whose texts may not."""
    rng = random.Random(seed)

    def text(words_least, words_most):
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(words_least, words_most)))

    def request(prompt, chat, **fields):
        body = {"max_tokens": rng.randint(1, 40), "temperature": rng.choice((0, 0.7, 1)), **fields}
        if rng.random() < 0.4:
            body.update({"stream": True, "stream_options": {"include_usage": True}})
        if chat:
            return "/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}], **body}
        return "/v1/completions", {"prompt": prompt, **body}

    shared = text(60, 100)
    free = [request((shared if rng.random() < 0.4 else "") + text(20, 200), rng.random() < 0.5, ignore_eos=True)
            for _ in range(FREE)]
    short = [request(text(1, 2), False, ignore_eos=True) for _ in range(SHORT)]
    fits = [request(text(60, 200), True, max_tokens=60, structured_outputs={"choice": [text(3, 6) for _ in range(9)]})
            for _ in range(FITS)]
    return free, short + fits


class Reference:
    """What one worker answers that does both, and the blocks that it fills for the prompts."""

    def __init__(self, kvasir, requests):
        alone = Worker(kvasir, "alone", Way("alone", "nixl", "NixlConnector", {"transport": "shm"}))
        try:
            alone.wait_ready()
            in_parallel(lambda request: alone.post(request[0], prefill_leg(request[1])), requests)
            self.blocks = [Block(block) for block in set(alone.written_kv_blocks())]
            self.answers = in_parallel(lambda request: alone.post(*request), requests)
        finally:
            alone.close()
        broken = [answer for answer in self.answers if answer.texts() is None]
        assert not broken, f"the aggregated worker fails: {broken[0].status} {broken[0].body[:300]}"


class Block:
    def __init__(self, content):
        self.content = content
        self.values = struct.unpack(f"<{len(content) // 2}e", content)

    def layers(self):
        size = len(self.values) // LAYERS
        return [self.values[at:at + size] for at in range(0, len(self.values), size)]

    def bounds(self):
        """How far each value may move."""
        bounds = []
        for layer in self.layers():
            largest = max(map(abs, layer))
            bounds += [largest / 254 + largest / 2048] * len(layer)
        return bounds


def deviation(block, right, bounds):
    """The largest, as a part of its bound; None: it is not this block, or one that moved too far."""
    largest = 0
    for value, expected, bound in zip(block.values, right.values, bounds):
        moved = abs(value - expected) / bound
        if moved > 1:
            return None
        largest = max(largest, moved)
    return largest


def check_bytes(decoder):
    """Problems, and how many compressed blocks came."""
    blocks = decoder.metric("vllm:external_prefix_cache_hits_total") // BLOCK_TOKENS
    came = decoder.metric("kvasir_kv_transfer_bytes_total")
    if came == blocks * PACKED_BYTES > 0:
        return [], blocks
    return [f"{came:.0f} bytes came of {blocks:.0f} blocks, which take {PACKED_BYTES} bytes each"], blocks


def check_values(decoder, reference, came):
    """Problems, and the largest deviation of a value as a part of its bound."""
    there = [Block(content) for content in decoder.written_kv_blocks()]
    missing, compressed, largest = 0, 0, 0
    for right in reference.blocks:
        bounds = right.bounds()
        found = [moved for moved in (deviation(block, right, bounds) for block in there) if moved is not None]
        missing += not found
        compressed += sum(moved > 0 for moved in found)
        largest = max([largest, *found])
    problems = []
    if missing:
        problems.append(f"{missing} of {len(reference.blocks)} blocks of the prompts are not there within the bound")
    if compressed != came:
        problems.append(f"{came:.0f} blocks came, {compressed} lie there compressed and within the bound")
    return problems, largest


def check_answers(requests, answers, expected, may_differ):
    problems = []
    for (path, body), answer, right in zip(requests, answers, expected):
        about = f"{path} {str(body)[:200]}"
        if answer.texts() is None:
            problems.append(f"{about}: {answer.status} {answer.problem} {answer.body[:300]!r}")
        elif not may_differ and answer.texts() != right.texts():
            problems.append(f"{about}: {answer.texts()}, expected {right.texts()}")
        elif answer.usage() != right.usage() or [c[2] for c in answer.texts()] != [c[2] for c in right.texts()]:
            problems.append(f"{about}: {answer.usage()} {answer.texts()}, expected {right.usage()} {right.texts()}")
    return problems


def check_way(kvasir, way, free, fixed, reference):
    begun = time.monotonic()
    pair = Pair(kvasir, way)
    try:
        answers = in_parallel(lambda request: pair.both(*request), free + fixed)
        wrong = check_answers(free, answers, reference.answers, True)
        wrong += check_answers(fixed, answers[len(free):], reference.answers[len(free):], False)
        problems = list(wrong)
        if not comes_to_rest([pair.prefiller, pair.decoder]):
            problems.append("not every block was given back")
        found, came = check_bytes(pair.decoder)
        problems += found
        bound = "blocks"
        if "transport" in way.decoder_extra:
            found, largest = check_values(pair.decoder, reference, came)
            problems += found
            bound = f"blocks, whose values moved by {100 * largest:.0f}% of the bound at most"
        same = sum(answer.texts() == right.texts() for answer, right in zip(answers[:len(free)], reference.answers))
        print(f"{way.name}: {len(answers) - len(wrong)} of {len(answers)} answers as they must be, {same} of {len(free)} "
              f"free texts the same; {came:.0f} {bound}, {time.monotonic() - begun:.1f} s", flush=True)
        return problems
    finally:
        pair.close()


def run(kvasir, ways):
    free, fixed = some_requests()
    reference = Reference(kvasir, free + fixed)
    problems = {way.name: check_way(kvasir, way, free, fixed, reference) for way in ways}
    for name, found in problems.items():
        for problem in found[:5]:
            print(f"{name}: {problem}")
    return not any(problems.values())
