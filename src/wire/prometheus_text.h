// Reads the Prometheus text format, one sample at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir {

struct MetricSample {
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string>> labels;  // values unescaped
  double value = 0;

  std::optional<std::string_view> label(std::string_view label_name) const;
};

// The sample that `line` holds; nullopt for comments, empty and malformed lines. Views point into `line`.
std::optional<MetricSample> parse_metric_line(std::string_view line);

// The first sample of that name on a page. Views point into `page`.
std::optional<MetricSample> find_metric(std::string_view page, std::string_view name);

// Every sample of that name added up; nullopt when there is none.
std::optional<double> sum_metric(std::string_view page, std::string_view name);

}  // namespace kvasir
