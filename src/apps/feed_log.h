// What gateway and picker alike say in their logs of the endpoints and their metrics.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "feeds/page_probe.h"
#include "feeds/scrape_plan.h"

namespace kvasir {

const char* page_problem_label(PageProblem problem);
void log_page_problem(const Endpoint& endpoint, PageProblem problem, std::string_view what);

// One line for each source: what is read, from where and how often.
std::vector<std::string> scrape_plan_lines(const ScrapePlan& plan);

// FleetProbe::on_discovery_failed().
void log_discovery_failed(std::string_view source, std::string_view why);

// PoolProbe::on_service_lost().
void log_service_lost(std::string_view why);

// FilterProbe::on_filter_left_nobody(), the first time; `counter` is the metric that counts the others.
void log_filter_left_nobody(std::string_view filter, std::string_view why, std::string_view counter);

// FlowProbe::on_metrics_stale().
void log_stale_metrics(bool all, size_t endpoints);

}  // namespace kvasir
