#include "apps/pool_metrics.h"

#include <fmt/format.h>

#include <utility>

#include "telemetry/log.h"

namespace kvasir {
namespace {

std::string reader_of(const ScrapeSource& source) {
  const EngineChoice& first = source.engines.front();
  std::string text;
  if (!first.page.engines.empty() || source.extractors.empty()) {
    text = "read as " + first.engine + "'s unless its label says otherwise";
  }
  for (const NamedExtractor& one : source.extractors) {
    text.append(text.empty() ? "read by " : ", and by ").append(one.name);
  }
  return text;
}

// One line for each source: what is read, from where and how often.
std::vector<std::string> scrape_plan_lines(const ScrapePlan& plan) {
  std::vector<std::string> lines;
  for (const ScrapeSource& source : plan.sources) {
    const std::string port =
        source.port == 0 ? "its own port" : "port " + std::to_string(source.port);
    lines.push_back(fmt::format("scraper: {} reads {} of every endpoint on {} every {:g} ms, {}",
                                source.type, source.path, port, to_milliseconds(source.interval),
                                reader_of(source)));
  }
  return lines;
}

}  // namespace

template <class Probe>
void PoolMetrics<Probe>::count(const char* name, const char* help, Labels labels) {
  registry_.counter(std::string(kPrefix) + name, help, std::move(labels)).add();
}

template <class Probe>
void PoolMetrics<Probe>::on_left(const Endpoint& endpoint) {
  log_info("endpoint " + endpoint.name + " left the fleet");
}

template <class Probe>
void PoolMetrics<Probe>::on_moved(const Endpoint& endpoint, std::string_view address) {
  log_info(fmt::format("endpoint {} has moved: its name has the address {} now", endpoint.name,
                       address));
}

template <class Probe>
void PoolMetrics<Probe>::on_endpoint_refused(const Endpoint& endpoint) {
  log_warning("endpoint " + endpoint.name +
              " is not used: too many endpoints, or its name appears twice");
}

template <class Probe>
void PoolMetrics<Probe>::on_discovery_failed(std::string_view source, std::string_view why) {
  count("discovery_failures_total",
        "Lists of endpoints that could not be read; the one before stays.");
  log_warning(fmt::format("the endpoints of {} stay as they are: {}", source, why));
}

template <class Probe>
void PoolMetrics<Probe>::on_filter_left_nobody(const std::string& filter, bool first,
                                               std::string_view why) {
  constexpr const char* kCounter = "filter_left_nobody_total";
  count(kCounter, "Times that a filter left no endpoint of those it was given.",
        {{"plugin", filter}});
  if (!first) return;
  log_warning(fmt::format("filter '{}' left no endpoint{}{}; told once, counted in {}{}", filter,
                          why.empty() ? "" : ": ", why, kPrefix, kCounter));
}

template <class Probe>
void PoolMetrics<Probe>::on_scrape_failed(const Endpoint& endpoint, std::string_view source_type,
                                          bool, std::string_view why, bool first) {
  if (!first) return;
  log_repeated(
      LogLevel::kWarning, "metrics of " + endpoint.name + " cannot be read",
      fmt::format("scraper: metrics of {} ({}) cannot be read, the old ones stay for a while: {}",
                  endpoint.name, source_type, why));
}

template <class Probe>
void PoolMetrics<Probe>::on_scrape_pace(std::string_view source_type, Duration interval,
                                        bool stretched) {
  const std::string text = fmt::format("scraper: {}: metrics are read every {:g} ms", source_type,
                                       to_milliseconds(interval));
  stretched ? log_warning(text + ": more often cannot be kept up") : log_info(text + " again");
}

// With each configuration; told when it is another one.
template <class Probe>
void PoolMetrics<Probe>::on_scrape_plan(const ScrapePlan& plan) {
  std::vector<std::string> lines = scrape_plan_lines(plan);
  if (lines == scrape_lines_) return;
  for (const std::string& line : lines) log_info(line);
  scrape_lines_ = std::move(lines);
}

// A thousand endpoints of one kind lack the same metric.
template <class Probe>
void PoolMetrics<Probe>::on_page_problem(const Endpoint& endpoint, PageProblem problem,
                                         std::string_view what) {
  const bool missing = problem == PageProblem::kMissing;
  count("page_problems_total",
        "Metrics pages that began to lack what is wanted or to say what cannot be true.",
        {{"kind", missing ? "missing" : "refused"}});
  const std::string name = "scraper: metrics of " + endpoint.name + ": ";
  if (missing) {
    return log_repeated(LogLevel::kWarning, "metrics pages that lack something",
                        name + std::string(what) + " missing; scorers and detectors do without");
  }
  log_repeated(LogLevel::kWarning, "values on metrics pages that are ignored",
               name + std::string(what) + " cannot be true and is ignored");
}

template <class Probe>
void PoolMetrics<Probe>::on_health_changed(const Endpoint& endpoint, bool healthy) {
  if (healthy) return log_info("endpoint " + endpoint.name + " is healthy");
  log_warning("endpoint " + endpoint.name +
              " is unhealthy: no requests go there while others are healthy");
}

template <class Probe>
void PoolMetrics<Probe>::on_check_failed(const Endpoint& endpoint, std::string_view path,
                                         std::string_view why) {
  log_repeated(LogLevel::kWarning, "health checks that failed",
               fmt::format("health check of {} failed: GET {}: {}", endpoint.name, path, why));
}

template <class Probe>
void PoolMetrics<Probe>::on_metrics_stale(bool all, size_t endpoints) {
  const std::string of_all = "the metrics of all " + std::to_string(endpoints) + " endpoints ";
  if (all) {
    return log_repeated(LogLevel::kWarning, "metrics of all endpoints became too old",
                        of_all + "are too old to say how full they are: requests are held");
  }
  log_repeated(LogLevel::kInfo, "metrics of all endpoints are fresh again",
               of_all + "were too old; that is over: requests are let go again");
}

template <class Probe>
void PoolMetrics<Probe>::on_configuration_read(std::string_view error) {
  count("configuration_reads_total", "Changed configurations that were read.",
        {{"result", error.empty() ? "used" : "refused"}});
  if (error.empty()) return log_info("the changed configuration is in use");
  log_error("the changed configuration is not used, the one before stays: " + std::string(error));
  if (refused_configuration_) refused_configuration_(error);
}

template <class Probe>
void PoolMetrics<Probe>::on_fewer_plugins(size_t before, size_t now) {
  log_warning(fmt::format("the changed configuration names {} plugins, the one before named {}: "
                          "see that the file is whole",
                          now, before));
}

template <class Probe>
void PoolMetrics<Probe>::on_service_lost(std::string_view why) {
  count("service_look_up_failures_total",
        "Failed look-ups of services that the configuration names, in a row counted once.");
  log_warning("a service is asked at its old address, or not at all: " + std::string(why));
}

template <class Probe>
void PoolMetrics<Probe>::on_cache_reset(const Endpoint& endpoint) {
  log_repeated(LogLevel::kInfo, "resets of prefix caches",
               "the prefix cache of " + endpoint.name + " was reset by a request");
}

template <class Probe>
void PoolMetrics<Probe>::on_kv_news(const Endpoint& endpoint, uint32_t rank, KvNews news,
                                    std::string_view text) {
  const LogLevel level = is_warning(news) ? LogLevel::kWarning : LogLevel::kInfo;
  log_repeated(level, "news of the KV events of " + endpoint.name,
               kv_news_text(endpoint, rank, news, text));
}

template class PoolMetrics<GatewayProbe>;
template class PoolMetrics<EppProbe>;

}  // namespace kvasir
