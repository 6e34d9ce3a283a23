"""Medians over rounds, ratios, tables, and the limits that --check enforces."""

from statistics import median

COLUMNS = ["gateway", "CPU us/request", "low-high", "x nginx", "x SMG", "requests/s", "p50 ms", "p99 ms", "errors"]


def cpu_limit(tokens):
    """The largest part of SMG's CPU per request that Kvasir may take at this prompt size."""
    return 1 / 5 if tokens <= 20_000 else 1 / 4


def round_result(wrk_numbers, cpu_seconds):
    """What one round measured, per request."""
    requests = wrk_numbers["requests"]
    return {
        "cpu_us": cpu_seconds * 1e6 / requests if requests else float("inf"),
        "requests_per_s": requests * 1e6 / wrk_numbers["duration_us"],
        "p50_ms": wrk_numbers["p50_us"] / 1e3,
        "p99_ms": wrk_numbers["p99_us"] / 1e3,
        "errors": wrk_numbers["bad_status"] + wrk_numbers["socket_errors"] + wrk_numbers["timeouts"],
    }


def summary(rounds):
    """The median round of each number; errors are summed."""
    middle = {key: median(r[key] for r in rounds) for key in rounds[0] if key != "errors"}
    cpu = [r["cpu_us"] for r in rounds]
    return middle | {"cpu_us_low": min(cpu), "cpu_us_high": max(cpu), "errors": sum(r["errors"] for r in rounds)}


def table(summaries):
    """A Markdown table of one prompt size, cheapest gateway first."""
    ordered = sorted(summaries, key=lambda name: summaries[name]["cpu_us"])
    rows = [COLUMNS] + [row(name, summaries) for name in ordered]
    widths = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(align(cell, i, widths[i]) for i, cell in enumerate(r)) + " |" for r in rows]
    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def align(cell, column, width):
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def row(name, summaries):
    s = summaries[name]
    return [name, number(s["cpu_us"]), f"{number(s['cpu_us_low'])}-{number(s['cpu_us_high'])}",
            ratio(s, summaries.get("nginx")), ratio(s, summaries.get("smg")), f"{s['requests_per_s']:,.0f}",
            f"{s['p50_ms']:.2f}", f"{s['p99_ms']:.2f}", f"{s['errors']}"]


def ratio(one, other):
    return f"{one['cpu_us'] / other['cpu_us']:.2f}" if other and other["cpu_us"] else "-"


def number(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def check(results):
    """[(passed, sentence)] for each prompt size."""
    return [check_size(result["name"], result["tokens"], result["summary"]) for result in results]


def check_size(what, tokens, summaries):
    missing = [name for name in ("kvasir", "smg") if name not in summaries]
    if missing:
        return False, f"{what}: not measured: {', '.join(missing)}"
    failing = [f"{name} had {summaries[name]['errors']} errors" for name in ("kvasir", "smg") if summaries[name]["errors"]]
    if failing:
        return False, f"{what}: {' and '.join(failing)}"
    part, limit = summaries["kvasir"]["cpu_us"] / summaries["smg"]["cpu_us"], cpu_limit(tokens)
    return part <= limit, f"{what}: kvasir takes {part:.3f} of SMG's CPU per request (limit {limit:.2f})"
