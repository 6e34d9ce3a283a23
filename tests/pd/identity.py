"""What a pair answers is what one worker answers, byte by byte, whichever way the blocks go."""

import concurrent.futures
import time

from fleet import Worker
from requests_mix import mixed_requests
from ways import Pair

IN_FLIGHT = 8
REST_SECONDS = 20


def in_parallel(act, items):
    with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
        return list(pool.map(act, items))


def references(kvasir, requests, every_reason=True):
    alone = Worker(kvasir, "alone")
    try:
        alone.wait_ready()
        answers = in_parallel(lambda request: alone.post(*request), requests)
    finally:
        alone.close()
    broken = [answer for answer in answers if answer.texts() is None]
    assert not broken, f"the aggregated worker fails: {broken[0].status} {broken[0].body[:300]}"
    reasons = {reason for answer in answers for _, _, reason in answer.texts()}
    assert reasons == {"stop", "length"} or not every_reason, f"the mix ends in {reasons}"
    return [answer.texts() for answer in answers]


def comes_to_rest(workers, seconds=REST_SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(worker.at_rest() for worker in workers):
            return True
        time.sleep(0.1)
    return False


def check_way(kvasir, way, requests, expected):
    """Problems, in words."""
    begun = time.monotonic()
    pair = Pair(kvasir, way)
    try:
        answers = in_parallel(lambda request: pair.both(*request), requests)
        problems = [f"{path} {str(body)[:200]}: {answer.status} {answer.problem} {answer.body[:300]!r}, expected {texts}"
                    for (path, body), answer, texts in zip(requests, answers, expected) if answer.texts() != texts]
        identical = len(requests) - len(problems)
        external = pair.decoder.metric("vllm:external_prefix_cache_hits_total")
        moved = pair.decoder.metric("kvasir_kv_transfer_bytes_total")
        if external < 16 * len(requests):
            problems.append(f"only {external:.0f} tokens came from the prefiller")
        if not comes_to_rest([pair.prefiller, pair.decoder]):
            problems.append("not every block was given back")
        print(f"{way.name}: {identical} of {len(requests)} answers identical, {external:.0f} tokens "
              f"and {moved / 1e6:.0f} MB from the prefiller, {time.monotonic() - begun:.1f} s", flush=True)
        return problems
    finally:
        pair.close()


def run(kvasir, ways, count):
    requests = mixed_requests(count)
    expected = references(kvasir, requests)
    problems = {way.name: check_way(kvasir, way, requests, expected) for way in ways}
    for name, found in problems.items():
        for problem in found[:5]:
            print(f"{name}: {problem}")
    return not any(problems.values())
