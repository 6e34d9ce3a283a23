#include "bench/report.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <functional>

namespace kvasir {
namespace {

constexpr int kNameWidth = 24;
constexpr int kValueWidth = 14;
constexpr int kDifferenceWidth = 10;

using Metric = std::function<std::optional<double>(const ArmMetrics&)>;

// 1234567.89 -> "1,234,567.9"
std::string with_commas(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const size_t sign = text.front() == '-' ? 1 : 0;
  for (size_t at = std::min(text.find('.'), text.size()); at > sign + 3; at -= 3) {
    text.insert(at - 3, ",");
  }
  return text;
}

std::string difference(double value, double first) {
  if (first == 0) return "-";
  return fmt::format("{:+.1f} %", (value / first - 1) * 100);
}

std::string metric_line(const char* name, const std::vector<ArmMetrics>& arms, int decimals,
                        const Metric& metric) {
  std::string line = fmt::format("{:<{}}", name, kNameWidth);
  for (const ArmMetrics& arm : arms) {
    const std::optional<double> value = metric(arm);
    const std::optional<double> first = metric(arms.front());
    line += fmt::format("{:>{}}", value ? with_commas(*value, decimals) : "-", kValueWidth);
    if (&arm == &arms.front()) continue;
    line +=
        fmt::format("{:>{}}", value && first ? difference(*value, *first) : "-", kDifferenceWidth);
  }
  return line + "\n";
}

// The same for every arm: no differences.
std::string ceiling_line(const std::vector<ArmMetrics>& arms, double ceiling) {
  std::string line = fmt::format("{:<{}}", "hit ceiling", kNameWidth);
  for (const ArmMetrics& arm : arms) {
    line += fmt::format("{:>{}.4f}", ceiling, kValueWidth);
    if (&arm != &arms.back() && &arm != &arms.front()) line += std::string(kDifferenceWidth, ' ');
  }
  return line + "\n";
}

std::string head_line(const std::vector<ArmMetrics>& arms) {
  std::string line(kNameWidth, ' ');
  for (const ArmMetrics& arm : arms) {
    line += fmt::format("{:>{}}", arm.name, kValueWidth);
    if (&arm != &arms.front()) line += std::string(kDifferenceWidth, ' ');
  }
  return line.erase(line.find_last_not_of(' ') + 1) + "\n";
}

Metric of(std::optional<Distribution> ArmMetrics::*values, double Distribution::*value) {
  return [values, value](const ArmMetrics& arm) -> std::optional<double> {
    if (!(arm.*values)) return std::nullopt;
    return *(arm.*values).*value;
  };
}

std::string comparison_table(const Report& report) {
  const std::vector<ArmMetrics>& arms = report.arms;
  std::string text = head_line(arms);
  const auto add = [&](const char* name, int decimals, const Metric& metric) {
    text += metric_line(name, arms, decimals, metric);
  };
  add("TTFT mean, ms", 1, of(&ArmMetrics::ttft_ms, &Distribution::mean));
  add("TTFT p99, ms", 1, of(&ArmMetrics::ttft_ms, &Distribution::p99));
  add("request latency, ms", 1, of(&ArmMetrics::latency_ms, &Distribution::mean));
  add("output tokens/s", 1, [](const ArmMetrics& arm) { return arm.output_tokens_per_s; });
  add("requests/s", 3, [](const ArmMetrics& arm) { return arm.requests_per_s; });
  add("ITL mean, ms", 2, of(&ArmMetrics::itl_ms, &Distribution::mean));
  add("ITL p99, ms", 2, of(&ArmMetrics::itl_ms, &Distribution::p99));
  add("ITL by token, ms", 2, [](const ArmMetrics& arm) { return arm.itl_token_weighted_ms; });
  add("hit ratio", 4, [](const ArmMetrics& arm) { return arm.hit_ratio; });
  return text + ceiling_line(arms, report.hit_ceiling);
}

std::string distribution_line(const char* name, const std::optional<Distribution>& values) {
  std::string line = fmt::format("{:<{}}", name, kNameWidth);
  if (!values) return line + "             -\n";
  for (const double value : {values->mean, values->p50, values->p90, values->p99, values->p999}) {
    line += fmt::format("{:>{}}", with_commas(value, 2), kValueWidth);
  }
  return line + "\n";
}

std::string distributions(const ArmMetrics& arm) {
  std::string text = fmt::format("{:<{}}", arm.name, kNameWidth);
  for (const char* column : {"mean", "p50", "p90", "p99", "p99.9"}) {
    text += fmt::format("{:>{}}", column, kValueWidth);
  }
  return text + "\n" + distribution_line("  TTFT, ms", arm.ttft_ms) +
         distribution_line("  request latency, ms", arm.latency_ms) +
         distribution_line("  ITL, ms", arm.itl_ms);
}

// How many requests each endpoint got, most first; their names are in the JSON.
std::string endpoint_shares(const ArmMetrics& arm) {
  if (arm.requests_by_endpoint.empty()) return {};
  std::vector<size_t> counts;
  for (const auto& [endpoint, number] : arm.requests_by_endpoint) counts.push_back(number);
  std::sort(counts.begin(), counts.end(), std::greater<>());
  return fmt::format("  requests by endpoint: {} (most - least: {})\n", fmt::join(counts, " "),
                     counts.front() - counts.back());
}

std::string arm_notes(const ArmMetrics& arm) {
  std::string text = fmt::format("{}: {} requests, {} errors", arm.name, arm.requests, arm.errors);
  const char* separator = " (";
  for (const auto& [reason, number] : arm.errors_by_reason) {
    text += fmt::format("{}{} x {}", separator, number, reason);
    separator = ", ";
  }
  if (arm.errors > 0) text += ")";
  text += fmt::format("; send lag p99 {:.1f} ms\n", arm.send_lag.p99_ms);
  return text + endpoint_shares(arm);
}

std::string same_tokens_line(const std::vector<size_t>& rows) {
  if (rows.empty()) return "same tokens in all arms: yes\n";
  return fmt::format("same tokens in all arms: NO, {} rows differ, the first is row {}\n",
                     rows.size(), rows.front());
}

}  // namespace

Report describe(const Workload& workload) {
  Report report;
  report.first_row = workload.first_row;
  report.requests = workload.size();
  if (!workload.due.empty()) {
    report.span_s = to_seconds(*std::max_element(workload.due.begin(), workload.due.end()));
  }
  report.bin_ms = workload.bin_ms;
  for (const TraceRow& row : workload.rows) {
    report.prompt_tokens += row.input_length;
    report.output_tokens += row.output_length;
  }
  report.hit_ceiling = hit_ceiling(workload.rows, workload.block_tokens);
  return report;
}

std::string report_text(const Report& report) {
  std::string text = fmt::format(
      "{}: {} requests from row {}, {:.1f} s at speed {:g}{}\n"
      "{} prompt tokens, {} output tokens, hit ceiling {:.4f} (one cache without limit)\n"
      "model {}, seed {}, time scale {:g}; times are unscaled and count from the intended send\n\n",
      report.trace, report.requests, report.first_row, report.span_s, report.speed,
      report.bin_ms > 0 ? fmt::format(", bins of {} ms spread evenly", report.bin_ms) : "",
      with_commas(static_cast<double>(report.prompt_tokens), 0),
      with_commas(static_cast<double>(report.output_tokens), 0), report.hit_ceiling, report.model,
      report.seed, report.time_scale);
  text += comparison_table(report) + "\n";
  for (const ArmMetrics& arm : report.arms) text += distributions(arm);
  text += "\n";
  for (const ArmMetrics& arm : report.arms) text += arm_notes(arm);
  if (report.rows_with_other_tokens) text += same_tokens_line(*report.rows_with_other_tokens);
  return text;
}

std::string hash_text(std::string_view bytes) {
  return fmt::format("xxh64:{:016x}", XXH64(bytes.data(), bytes.size(), 0));
}

std::string lag_problem(const Report& report) {
  for (const ArmMetrics& arm : report.arms) {
    const SendLag& lag = arm.send_lag;
    if (!lag.fell_behind()) continue;
    return fmt::format(
        "the client fell behind in {}: one request in a hundred was sent {:.1f} ms late or more "
        "(wall "
        "clock), the limit is {:.1f} ms (the larger of {:g} ms and {:g} % of the median TTFT)",
        arm.name, lag.p99_ms, lag.limit_ms, kSendLagFloorMs, kSendLagShare * 100);
  }
  return {};
}

}  // namespace kvasir
