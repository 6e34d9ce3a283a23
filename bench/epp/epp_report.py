"""Medians over rounds, the tables, the limits that --check enforces and the goals beyond them."""

from statistics import median

# The picker's CPU per request as a multiple of what Envoy without a picker spends on the same requests.
LIMITS = {200: 1.0, 20_000: 3.5, 100_000: 6.5}
GOALS = {200: 0.7, 20_000: 2.7, 100_000: 5.8}
# Envoy's own CPU with Kvasir as a multiple of what it is with the bare picker.
ENVOY_GOAL = 1.10
COLUMNS = ["picker", "picker us", "low-high", "Envoy us", "low-high", "x plain Envoy", "x bare's Envoy", "requests/s", "p50 ms",
           "p99 ms", "errors"]


def round_result(wrk_numbers, envoy_seconds, picker_seconds):
    requests = wrk_numbers["requests"]
    each = 1e6 / requests if requests else float("inf")
    return {
        "envoy_us": envoy_seconds * each,
        "picker_us": picker_seconds * each,
        "requests_per_s": requests * 1e6 / wrk_numbers["duration_us"],
        "p50_ms": wrk_numbers["p50_us"] / 1e3,
        "p99_ms": wrk_numbers["p99_us"] / 1e3,
        "errors": wrk_numbers["bad_status"] + wrk_numbers["socket_errors"] + wrk_numbers["timeouts"],
    }


def summary(rounds):
    """The median round of each number; errors are summed."""
    middle = {key: median(r[key] for r in rounds) for key in rounds[0] if key != "errors"}
    for who in ("envoy_us", "picker_us"):
        middle[who + "_low"], middle[who + "_high"] = (f(r[who] for r in rounds) for f in (min, max))
    return middle | {"errors": sum(r["errors"] for r in rounds)}


def picker_ratio(summaries):
    return summaries["kvasir"]["picker_us"] / summaries["none"]["envoy_us"]


def envoy_ratio(summaries):
    return summaries["kvasir"]["envoy_us"] / summaries["bare"]["envoy_us"]


def table(summaries):
    """A Markdown table of one prompt size."""
    rows = [COLUMNS] + [row(name, summaries) for name in summaries]
    widths = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(r, widths))) + " |"
             for r in rows]
    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def row(name, summaries):
    s = summaries[name]
    cells = [name]
    for who in ("picker_us", "envoy_us"):
        cells += [number(s[who]), f"{number(s[who + '_low'])}-{number(s[who + '_high'])}"]
    return cells + [ratio(s["picker_us"], summaries.get("none")), ratio(s["envoy_us"], summaries.get("bare")),
                    f"{s['requests_per_s']:,.0f}", f"{s['p50_ms']:.2f}", f"{s['p99_ms']:.2f}", f"{s['errors']}"]


def ratio(value, other):
    return f"{value / other['envoy_us']:.2f}" if other and other["envoy_us"] and value else "-"


def number(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def check(results):
    """[(passed, sentence)] of every prompt size."""
    return [verdict for result in results for verdict in check_size(result["name"], result["tokens"], result["summary"])]


def check_size(what, tokens, summaries):
    missing = [name for name in ("none", "kvasir") if name not in summaries]
    if missing:
        return [(False, f"{what}: not measured: {', '.join(missing)}")]
    verdicts = [(s["errors"] == 0, f"{what}, {name}: {s['errors']} errors") for name, s in summaries.items()]
    if tokens in LIMITS:
        part = picker_ratio(summaries)
        verdicts.append((part <= LIMITS[tokens], f"{what}: the picker spends {part:.2f} times what Envoy alone does "
                                                 f"(limit {LIMITS[tokens]}, goal {GOALS[tokens]}: {reached(part, GOALS[tokens])})"))
    return verdicts


def envoy_goal(what, summaries):
    """A sentence on Envoy's own cost, which only Envoy and the shape of our messages decide; None without both."""
    if "bare" not in summaries or "kvasir" not in summaries:
        return None
    part = envoy_ratio(summaries)
    return (f"{what}: Envoy spends {part:.2f} times what it does with the bare picker "
            f"(goal {ENVOY_GOAL}: {reached(part, ENVOY_GOAL)})")


def reached(part, goal):
    return "reached" if part <= goal else "missed"
