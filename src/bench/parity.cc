#include "bench/parity.h"

#include "bench/http_fetch.h"
#include "net/io/system_resolver.h"
#include "wire/model_list.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(10);

std::string words(const std::optional<uint64_t>& number) {
  return number ? std::to_string(*number) : "untold";
}

Result<WorkerFacts> inspect_worker(EventLoop& loop, const std::string& url) {
  const Result<HostPort> origin = parse_http_origin(url);
  if (!origin) return origin.error();
  SystemResolver resolver;
  const Result<std::string> health = fetch_body(loop, resolver, *origin, "/health", kTimeout);
  if (!health) return health.error();
  const Result<std::string> models = fetch_body(loop, resolver, *origin, "/v1/models", kTimeout);
  if (!models) return models.error();
  const Result<std::string> metrics = fetch_body(loop, resolver, *origin, "/metrics", kTimeout);
  if (!metrics) return metrics.error();
  Result<WorkerFacts> facts = read_worker_facts(*models, *metrics);
  if (!facts) return Error{url + "/v1/models: " + facts.error().message};
  return facts;
}

}  // namespace

std::string difference(const WorkerFacts& a, const WorkerFacts& b) {
  if (a.model != b.model) return "model " + a.model + " and " + b.model;
  if (a.max_model_len != b.max_model_len) {
    return "max_model_len " + words(a.max_model_len) + " and " + words(b.max_model_len);
  }
  if (a.cache_config != b.cache_config) {
    return "cache_config_info {" + a.cache_config + "} and {" + b.cache_config + "}";
  }
  return {};
}

std::string difference(const FleetFacts& a, const FleetFacts& b) {
  if (a.workers != b.workers) {
    return std::to_string(a.workers) + " and " + std::to_string(b.workers) + " workers";
  }
  return difference(a.worker, b.worker);
}

Result<WorkerFacts> read_worker_facts(std::string_view models, std::string_view metrics) {
  const Result<std::vector<ListedModel>> list = parse_model_list(models);
  if (!list) return list.error();
  if (list->empty()) return Error{"it lists no model"};
  WorkerFacts facts;
  facts.model = list->front().id;
  facts.max_model_len = list->front().max_model_len;
  const auto config = find_metric(metrics, "vllm:cache_config_info");
  if (!config) return facts;
  for (const auto& [name, value] : config->labels) {
    if (!facts.cache_config.empty()) facts.cache_config += ", ";
    facts.cache_config += std::string(name) + "=" + value;
  }
  return facts;
}

Result<FleetFacts> inspect_fleet(EventLoop& loop, const std::vector<std::string>& worker_urls) {
  FleetFacts fleet;
  for (const std::string& url : worker_urls) {
    Result<WorkerFacts> worker = inspect_worker(loop, url);
    if (!worker) return worker.error();
    if (fleet.workers++ == 0) fleet.worker = *worker;
    const std::string unlike = difference(fleet.worker, *worker);
    if (!unlike.empty()) {
      return Error{"the workers " + worker_urls.front() + " and " + url + " differ: " + unlike};
    }
  }
  return fleet;
}

}  // namespace kvasir
