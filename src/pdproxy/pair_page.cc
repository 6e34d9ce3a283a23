#include "pdproxy/pair_page.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string_view>

namespace kvasir {
namespace {

void append_gauge(std::string_view name, std::string_view help, double value, std::string& page) {
  char number[32];
  std::snprintf(number, sizeof number, "%.17g", value);
  page.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name);
  page.append(" gauge\n").append(name).append(" ").append(number).append("\n");
}

template <class Merge>
std::optional<double> merged(const std::vector<PolledWorker>& answers,
                             std::optional<double> EngineMetrics::*field, Merge merge) {
  std::optional<double> value;
  for (const PolledWorker& answer : answers) {
    if (!answer.engine || !(*answer.engine.*field).has_value()) continue;
    const double own = (*answer.engine.*field).value();
    value = value ? merge(*value, own) : own;
  }
  return value;
}

}  // namespace

void append_pair_metrics(const std::vector<PolledWorker>& answers, std::string& page) {
  const auto sum = [](double one, double other) { return one + other; };
  const auto most = [](double one, double other) { return std::max(one, other); };
  if (const auto running = merged(answers, &EngineMetrics::running, sum)) {
    append_gauge("vllm:num_requests_running", "Requests in the batches of the workers, added up.",
                 *running, page);
  }
  if (const auto waiting = merged(answers, &EngineMetrics::waiting, sum)) {
    append_gauge("vllm:num_requests_waiting", "Requests queued in the workers, added up.", *waiting,
                 page);
  }
  if (const auto usage = merged(answers, &EngineMetrics::kv_usage, most)) {
    append_gauge("vllm:kv_cache_usage_perc",
                 "Share of the KV cache in use, 1 is all, of the worker with the fullest one.",
                 *usage, page);
  }
  const auto silent = std::count_if(answers.begin(), answers.end(),
                                    [](const PolledWorker& answer) { return !answer.engine; });
  append_gauge("kvasir_pd_proxy_engines_unread",
               "Workers whose metrics page could not be read for this one.",
               static_cast<double>(silent), page);
}

}  // namespace kvasir
