#include "apps/feed_log.h"

#include <fmt/format.h>

#include <string>

#include "telemetry/log.h"

namespace kvasir {

const char* page_problem_label(PageProblem problem) {
  return problem == PageProblem::kMissing ? "missing" : "refused";
}

// A thousand endpoints of one kind lack the same metric.
void log_page_problem(const Endpoint& endpoint, PageProblem problem, std::string_view what) {
  const std::string name = "metrics of " + endpoint.name + ": ";
  if (problem == PageProblem::kMissing) {
    return log_repeated(LogLevel::kWarning, "metrics pages that lack something",
                        name + std::string(what) + " missing; scorers and detectors do without");
  }
  log_repeated(LogLevel::kWarning, "values on metrics pages that are ignored",
               name + std::string(what) + " cannot be true and is ignored");
}

std::vector<std::string> scrape_plan_lines(const ScrapePlan& plan) {
  std::vector<std::string> lines;
  for (const ScrapeSource& source : plan.sources) {
    const std::string port =
        source.port == 0 ? "its own port" : "port " + std::to_string(source.port);
    lines.push_back(
        fmt::format("scraper: {} reads {} of every endpoint on {} every {:g} ms, read as "
                    "{}'s unless its label says otherwise",
                    source.type, source.path, port, to_milliseconds(source.interval),
                    source.engines.front().engine));
  }
  return lines;
}

void log_discovery_failed(std::string_view source, std::string_view why) {
  log_warning(fmt::format("the endpoints of {} stay as they are: {}", source, why));
}

void log_service_lost(std::string_view why) {
  log_warning("a service is asked at its old address, or not at all: " + std::string(why));
}

void log_filter_left_nobody(std::string_view filter, std::string_view why,
                            std::string_view counter) {
  log_warning(fmt::format("filter '{}' left no endpoint{}{}; told once, counted in {}", filter,
                          why.empty() ? "" : ": ", why, counter));
}

void log_stale_metrics(bool all, size_t endpoints) {
  const std::string of_all = "the metrics of all " + std::to_string(endpoints) + " endpoints ";
  if (all) {
    return log_repeated(LogLevel::kWarning, "metrics of all endpoints became too old",
                        of_all + "are too old to say how full they are: requests are held");
  }
  log_repeated(LogLevel::kInfo, "metrics of all endpoints are fresh again",
               of_all + "were too old; that is over: requests are let go again");
}

}  // namespace kvasir
