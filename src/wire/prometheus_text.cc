#include "wire/prometheus_text.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace kvasir {
namespace {

void skip_spaces(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

std::string_view take_name(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && text[end] != '{' && text[end] != '=' && text[end] != '}' &&
         text[end] != ',' && !is_blank(text[end])) {
    ++end;
  }
  const std::string_view name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

// A quoted value with \\, \" and \n; the text stands at the opening quote.
bool take_quoted(std::string_view& text, std::string& value) {
  if (text.empty() || text.front() != '"') return false;
  size_t i = 1;
  for (; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] != '\\') {
      value += text[i];
      continue;
    }
    if (++i == text.size()) return false;
    value += text[i] == 'n' ? '\n' : text[i];
  }
  if (i >= text.size()) return false;
  text.remove_prefix(i + 1);
  return true;
}

bool take_labels(std::string_view& text, MetricSample& sample) {
  text.remove_prefix(1);  // {
  for (;;) {
    skip_spaces(text);
    if (!text.empty() && text.front() == '}') break;
    const std::string_view name = take_name(text);
    skip_spaces(text);
    if (name.empty() || text.empty() || text.front() != '=') return false;
    text.remove_prefix(1);
    skip_spaces(text);
    std::string value;
    if (!take_quoted(text, value)) return false;
    sample.labels.emplace_back(name, std::move(value));
    skip_spaces(text);
    if (!text.empty() && text.front() == ',') text.remove_prefix(1);
  }
  text.remove_prefix(1);  // }
  return true;
}

bool take_value(std::string_view text, double& value) {
  skip_spaces(text);
  const std::string number(text.substr(0, text.find_first_of(" \t\r")));
  if (number.empty()) return false;
  char* end = nullptr;
  value = std::strtod(number.c_str(), &end);
  return *end == '\0';
}

// Calls `use(sample)` for each sample of that name until it returns false.
template <class Use>
void for_each_sample(std::string_view page, std::string_view name, Use&& use) {
  for (size_t begin = 0; begin < page.size();) {
    const size_t newline = std::min(page.find('\n', begin), page.size());
    const std::string_view line = page.substr(begin, newline - begin);
    begin = newline + 1;
    if (!line.starts_with(name)) continue;
    const std::optional<MetricSample> sample = parse_metric_line(line);
    if (sample && sample->name == name && !use(*sample)) return;
  }
}

}  // namespace

std::optional<std::string_view> MetricSample::label(std::string_view label_name) const {
  for (const auto& [name_found, text] : labels) {
    if (name_found == label_name) return text;
  }
  return std::nullopt;
}

std::optional<MetricSample> parse_metric_line(std::string_view line) {
  skip_spaces(line);
  if (line.empty() || line.front() == '#') return std::nullopt;
  MetricSample sample;
  sample.name = take_name(line);
  skip_spaces(line);
  if (sample.name.empty() || line.empty()) return std::nullopt;
  if (line.front() == '{' && !take_labels(line, sample)) return std::nullopt;
  if (!take_value(line, sample.value)) return std::nullopt;
  return sample;
}

std::optional<MetricSample> find_metric(std::string_view page, std::string_view name) {
  std::optional<MetricSample> found;
  for_each_sample(page, name, [&](const MetricSample& sample) {
    found = sample;
    return false;
  });
  return found;
}

std::optional<double> sum_metric(std::string_view page, std::string_view name) {
  std::optional<double> sum;
  for_each_sample(page, name, [&](const MetricSample& sample) {
    sum = sum.value_or(0) + sample.value;
    return true;
  });
  return sum;
}

}  // namespace kvasir
