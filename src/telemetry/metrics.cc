#include "telemetry/metrics.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"

namespace kvasir {
namespace {

std::string number(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') result += '\\';
    result += c;
  }
  return result;
}

std::string rendered(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text.append(name).append("=\"").append(escaped(value)).append("\"");
  }
  return text;
}

void add_line(std::string& text, std::string_view name, std::string_view suffix,
              std::string_view labels, std::string_view value) {
  text.append(name).append(suffix);
  if (!labels.empty()) text.append("{").append(labels).append("}");
  text.append(" ").append(value).append("\n");
}

void add_atomically(std::atomic<double>& target, double amount) {
  double old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, old + amount, std::memory_order_relaxed)) {
  }
}

}  // namespace

void Gauge::add(double amount) { add_atomically(value_, amount); }

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
  const size_t bucket = static_cast<size_t>(
      std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  add_atomically(sum_, value);
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kCounter, labels);
  if (!found.counter) found.counter = std::make_unique<Counter>();
  return *found.counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kGauge, labels);
  if (!found.gauge) found.gauge = std::make_unique<Gauge>();
  return *found.gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               const std::vector<double>& bounds, const Labels& labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kHistogram, labels);
  if (!found.histogram) found.histogram = std::make_unique<Histogram>(bounds);
  return *found.histogram;
}

Registry::Child& Registry::child(std::string_view name, std::string_view help, Type type,
                                 const Labels& labels) {
  const auto family = std::find_if(families_.begin(), families_.end(),
                                   [&](const Family& candidate) { return candidate.name == name; });
  if (family == families_.end()) {
    families_.push_back({std::string(name), std::string(help), type, {}});
    families_.back().children.push_back({rendered(labels), nullptr, nullptr, nullptr});
    return families_.back().children.back();
  }
  KVASIR_ASSERT(family->type == type, "one metric name has one type");
  const std::string text = rendered(labels);
  for (Child& candidate : family->children) {
    if (candidate.labels == text) return candidate;
  }
  family->children.push_back({text, nullptr, nullptr, nullptr});
  return family->children.back();
}

std::string Registry::expose() const {
  static constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
  std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  for (const Family& family : families_) {
    text.append("# HELP ").append(family.name).append(" ").append(family.help).append("\n");
    text.append("# TYPE ").append(family.name).append(" ");
    text.append(kTypes[static_cast<size_t>(family.type)]).append("\n");
    for (const Child& child : family.children) expose_child(family, child, text);
  }
  return text;
}

void Registry::expose_child(const Family& family, const Child& child, std::string& text) {
  if (child.counter) add_line(text, family.name, "", child.labels, std::to_string(child.counter->value()));
  if (child.gauge) add_line(text, family.name, "", child.labels, number(child.gauge->value()));
  if (!child.histogram) return;
  const Histogram& histogram = *child.histogram;
  const std::string comma = child.labels.empty() ? "" : ",";
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= histogram.bounds_.size(); ++i) {
    cumulative += histogram.counts_[i].load(std::memory_order_relaxed);
    const std::string bound = i < histogram.bounds_.size() ? number(histogram.bounds_[i]) : "+Inf";
    add_line(text, family.name, "_bucket", child.labels + comma + "le=\"" + bound + "\"",
             std::to_string(cumulative));
  }
  add_line(text, family.name, "_sum", child.labels, number(histogram.sum_.load(std::memory_order_relaxed)));
  add_line(text, family.name, "_count", child.labels, std::to_string(cumulative));
}

}  // namespace kvasir
