"""An older program beside the new one, in turns: what the new one costs as a multiple of the old one, with its uncertainty.

The machine is noisy, so nothing is compared across runs: each round measures both, one right after the other, and gives
one ratio. The interval is that of the median of these ratios. It needs no assumption about how they are distributed (it
is read from their order, by the sign test), and a round that something else on the machine spoiled moves it by one rank.
"""

from math import comb
from statistics import median

ROUNDS_LEAST = 15
CONFIDENCE = 0.95
# The new program may cost as much more as cannot be told from noise: the interval must not lie wholly above this.
LIMIT = 1.03


def ranks(count):
    """The 0-based ranks of the ordered values between which the median lies, with CONFIDENCE or a little more."""
    lowest, outside = 0, 2 / 2**count  # outside: the chance that the median lies outside of these ranks
    while lowest + 1 < count // 2 and outside + 2 * comb(count, lowest + 1) / 2**count <= 1 - CONFIDENCE:
        lowest += 1
        outside += 2 * comb(count, lowest) / 2**count
    return lowest, count - 1 - lowest


def interval(ratios):
    """(low, median, high) of the ratios of all rounds."""
    ordered = sorted(ratios)
    low, high = ranks(len(ordered))
    return ordered[low], median(ordered), ordered[high]


def verdict(what, new, old):
    """(passed, sentence); `new` and `old`: what each round cost, pairwise."""
    if len(new) != len(old) or len(new) < ROUNDS_LEAST:
        return False, f"{what}: {min(len(new), len(old))} rounds have both, {ROUNDS_LEAST} are needed"
    low, middle, high = interval([n / o for n, o in zip(new, old)])
    sentence = f"{what}: new / old = {middle:.3f}, 95 % interval {low:.3f} to {high:.3f} over {len(new)} rounds (limit {LIMIT})"
    return low <= LIMIT, sentence


def costs(result, number, names):
    return [[round_[number] for round_ in result["rounds"].get(name, [])] for name in names]


def verdicts(results, number, options):
    """[(passed, sentence)] of each load with --against: `number` is the cost of a round. With KV events the older program, which
    hears none, is beside the new one without them."""
    new = "off" if options.kv_events else "kvasir"
    return [verdict(f"{result['name']}, {new} against old", *costs(result, number, (new, "old"))) for result in results
            if options.against]


def prices(results, number, options):
    """Sentences: what it costs to hear KV events."""
    for result in results if options.kv_events else []:
        on, off = costs(result, number, ("kvasir", "off"))
        if on and len(on) == len(off):
            low, middle, high = interval([n / o for n, o in zip(on, off)])
            yield f"{result['name']}: with KV events / without = {middle:.3f}, {low:.3f} to {high:.3f} over {len(on)} rounds"


def in_turn(items, number):
    """The items in the order of round `number`: begun at another one each round, and backwards in every second one, so that
    none always runs after the same neighbour."""
    start = number // 2 % len(items) if items else 0
    turned = items[start:] + items[:start]
    return turned[::-1] if number % 2 else turned
