#include "apps/up_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

bool counts_as_error(std::string_view code) {
  return (code.starts_with('4') || code.starts_with('5')) && code != "499";
}

// Whatever the page says.
uint64_t count_of(double value) {
  constexpr double kMost = 1e15;
  return value > 0 ? static_cast<uint64_t>(std::min(value, kMost)) : 0;
}

void add_sample(const MetricSample& sample, GatewayNumbers& numbers) {
  if (sample.name == "kvasir_gateway_requests_total") {
    const auto count = count_of(sample.value);
    numbers.requests += count;
    if (counts_as_error(sample.label("code").value_or(""))) numbers.errors += count;
  } else if (sample.name == "kvasir_gateway_requests_in_flight") {
    numbers.in_flight = static_cast<uint32_t>(std::min<uint64_t>(count_of(sample.value), UINT32_MAX));
  } else if (sample.name == "kvasir_gateway_upstream_healthy") {
    ++numbers.workers;
    if (sample.value > 0) ++numbers.workers_healthy;
  }
}

uint32_t total_restarts(const std::vector<ProcessStatus>& processes) {
  uint32_t restarts = 0;
  for (const ProcessStatus& process : processes) restarts += process.restarts;
  return restarts;
}

// A gateway that was started again counts from zero.
uint64_t grown(uint64_t before, uint64_t now) {
  return now >= before ? now - before : now;
}

}  // namespace

GatewayNumbers read_gateway_numbers(std::string_view page) {
  GatewayNumbers numbers;
  while (!page.empty()) {
    const size_t end = page.find('\n');
    const std::optional<MetricSample> sample = parse_metric_line(page.substr(0, end));
    if (sample) add_sample(*sample, numbers);
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
  }
  return numbers;
}

std::vector<std::string> UpStatus::update(TimePoint now,
                                          const std::vector<ProcessStatus>& processes,
                                          const std::optional<GatewayNumbers>& numbers) {
  std::vector<std::string> changes;
  if (!processes_.empty()) compare_processes(processes, changes);
  double requests_per_s = 0;
  if (numbers && numbers_) {
    compare_numbers(*numbers, changes);
    requests_per_s = static_cast<double>(grown(numbers_->requests, numbers->requests)) /
                     to_seconds(now - last_update_);
  }
  const GatewayNumbers shown = numbers.value_or(GatewayNumbers{});
  line_ = numbers ? fmt::format(
                        "{:.1f} requests/s, {} in flight, {} errors, workers {}/{} up, {} restarts",
                        requests_per_s, shown.in_flight, shown.errors, shown.workers_healthy,
                        shown.workers, total_restarts(processes))
                  : "the gateway does not answer";
  last_update_ = now;
  processes_ = processes;
  if (numbers) numbers_ = numbers;
  return changes;
}

void UpStatus::compare_processes(const std::vector<ProcessStatus>& processes,
                                 std::vector<std::string>& changes) {
  for (size_t i = 0; i < processes.size() && i < processes_.size(); ++i) {
    const ProcessStatus& before = processes_[i];
    const ProcessStatus& now = processes[i];
    const bool restarted = now.restarts != before.restarts;
    if (before.alive && (!now.alive || restarted)) {
      changes.push_back(fmt::format("{} (process {}) died", before.name, before.pid));
    }
    if (now.alive && restarted) {
      changes.push_back(fmt::format("{} was started again as process {} on port {}", now.name,
                                    now.pid, now.port));
    }
  }
}

void UpStatus::compare_numbers(const GatewayNumbers& numbers, std::vector<std::string>& changes) {
  if (numbers.workers_healthy != numbers_->workers_healthy) {
    changes.push_back(
        fmt::format("workers in rotation: {}/{}", numbers.workers_healthy, numbers.workers));
  }
  const uint64_t errors = grown(numbers_->errors, numbers.errors);
  if (errors > 0) {
    changes.push_back(
        fmt::format("{} new error{}, {} in all", errors, errors == 1 ? "" : "s", numbers.errors));
  }
}

}  // namespace kvasir
