#include "telemetry/metrics.h"

#include <algorithm>

#include "base/assert.h"
#include "telemetry/exposition.h"

namespace kvasir {
namespace {

constexpr const char* kTypes[] = {"counter", "gauge", "histogram", "summary"};

void add_atomically(std::atomic<double>& target, double amount) {
  double old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, old + amount, std::memory_order_relaxed)) {
  }
}

bool has_all(const Labels& labels, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  });
}

Labels kept(const Labels& labels, const Mirror& mirror) {
  if (mirror.keep_all) return labels;
  Labels result;
  for (const auto& [old_name, new_name] : mirror.keep) {
    for (const auto& [name, value] : labels) {
      if (name == old_name) result.emplace_back(new_name, value);
    }
  }
  return result;
}

}  // namespace

void Gauge::add(double amount) {
  add_atomically(value_, amount);
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
  const size_t bucket = static_cast<size_t>(
      std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  add_atomically(sum_, value);
}

Counter& MetricRegistry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  if (all_ != nullptr) return all_->counter(name, help, with_more(labels));
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kCounter, labels);
  if (!found.counter) found.counter = std::make_unique<Counter>();
  return *found.counter;
}

Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  if (all_ != nullptr) return all_->gauge(name, help, with_more(labels));
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kGauge, labels);
  if (!found.gauge) found.gauge = std::make_unique<Gauge>();
  return *found.gauge;
}

Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help,
                               const std::vector<double>& bounds, const Labels& labels) {
  if (all_ != nullptr) return all_->histogram(name, help, bounds, with_more(labels));
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kHistogram, labels);
  if (!found.histogram) found.histogram = std::make_unique<Histogram>(bounds);
  return *found.histogram;
}

Summary& MetricRegistry::summary(std::string_view name, std::string_view help, const Clock& clock,
                           const Labels& labels) {
  if (all_ != nullptr) return all_->summary(name, help, clock, with_more(labels));
  std::lock_guard<std::mutex> lock(mutex_);
  Child& found = child(name, help, Type::kSummary, labels);
  if (!found.summary) found.summary = std::make_unique<Summary>(clock);
  return *found.summary;
}

Labels MetricRegistry::with_more(const Labels& labels) const {
  Labels both = labels;
  both.insert(both.end(), more_.begin(), more_.end());
  return both;
}

void MetricRegistry::mirror(std::string_view name, std::string_view help, Mirror mirror) {
  KVASIR_ASSERT(all_ == nullptr, "a view of a registry has no mirrors");
  std::lock_guard<std::mutex> lock(mutex_);
  KVASIR_ASSERT(by_name_.count(std::string(name)) == 0, "a mirror has a name of its own");
  family(name, help, Type::kCounter).mirror = std::make_unique<Mirror>(std::move(mirror));
}

MetricRegistry::Family& MetricRegistry::family(std::string_view name, std::string_view help, Type type) {
  Family*& found = by_name_[std::string(name)];
  if (found == nullptr) {
    found = &families_.emplace_back(Family{std::string(name), std::string(help), type});
  }
  return *found;
}

MetricRegistry::Child& MetricRegistry::child(std::string_view name, std::string_view help, Type type,
                                 const Labels& labels) {
  Family& found = family(name, help, type);
  KVASIR_ASSERT(found.type == type && !found.mirror, "one metric name has one type");
  Child*& existing = found.by_labels[exposition_labels(labels)];
  if (existing == nullptr) existing = &found.children.emplace_back(Child{labels});
  return *existing;
}

std::string MetricRegistry::expose() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  for (const Family& family : families_) {
    if (family.mirror) {
      expose_mirror(family, text);
      continue;
    }
    append_exposition_head(family.name, family.help, kTypes[static_cast<size_t>(family.type)],
                           text);
    for (const Child& child : family.children) {
      if (child.summary) {
        expose_summary(family, child, text);
      } else {
        expose_reading(family, family.type, exposition_labels(child.labels),
                       read(family.type, child), text);
      }
    }
  }
  return text;
}

void MetricRegistry::expose_mirror(const Family& mirror, std::string& text) const {
  const auto found = by_name_.find(mirror.mirror->of);
  if (found == by_name_.end()) return;
  const Family& source = *found->second;
  std::vector<std::pair<std::string, Reading>> readings;
  std::unordered_map<std::string, size_t> places;
  for (const Child& child : source.children) {
    if (!has_all(child.labels, mirror.mirror->where)) continue;
    const std::string labels = exposition_labels(kept(child.labels, *mirror.mirror));
    Reading reading = read(source.type, child);
    const auto [place, is_new] = places.emplace(labels, readings.size());
    if (is_new) {
      readings.emplace_back(labels, std::move(reading));
    } else {
      merge(reading, readings[place->second].second);
    }
  }
  if (readings.empty()) return;
  append_exposition_head(mirror.name, mirror.help, kTypes[static_cast<size_t>(source.type)], text);
  for (const auto& [labels, reading] : readings) {
    expose_reading(mirror, source.type, labels, coarser(reading, mirror.mirror->bounds), text);
  }
}

MetricRegistry::Reading MetricRegistry::read(Type type, const Child& child) {
  Reading reading;
  if (type == Type::kCounter) reading.count = child.counter->value();
  if (type == Type::kGauge) reading.value = child.gauge->value();
  if (type != Type::kHistogram) return reading;
  const Histogram& histogram = *child.histogram;
  reading.bounds = histogram.bounds_;
  for (size_t i = 0; i <= histogram.bounds_.size(); ++i) {
    reading.counts.push_back(histogram.counts_[i].load(std::memory_order_relaxed));
  }
  reading.sum = histogram.sum_.load(std::memory_order_relaxed);
  return reading;
}

void MetricRegistry::merge(const Reading& more, Reading& into) {
  into.count += more.count;
  into.value += more.value;
  into.sum += more.sum;
  for (size_t i = 0; i < into.counts.size(); ++i) into.counts[i] += more.counts[i];
}

MetricRegistry::Reading MetricRegistry::coarser(const Reading& reading, const std::vector<double>& bounds) {
  if (bounds.empty()) return reading;
  Reading result;
  result.sum = reading.sum;
  result.bounds = bounds;
  result.counts.assign(bounds.size() + 1, 0);
  for (size_t i = 0; i < reading.counts.size(); ++i) {
    const size_t place = i < reading.bounds.size()
                             ? static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(),
                                                                    reading.bounds[i]) -
                                                   bounds.begin())
                             : bounds.size();
    result.counts[place] += reading.counts[i];
  }
  return result;
}

void MetricRegistry::expose_reading(const Family& family, Type type, const std::string& labels,
                              const Reading& reading, std::string& text) {
  const auto line = [&](std::string_view suffix, std::string_view line_labels,
                        std::string_view value) {
    append_exposition_line(family.name, suffix, line_labels, value, text);
  };
  if (type == Type::kCounter) return line("", labels, std::to_string(reading.count));
  if (type == Type::kGauge) return line("", labels, exposition_number(reading.value));
  const std::string comma = labels.empty() ? "" : ",";
  uint64_t cumulative = 0;
  for (size_t i = 0; i < reading.counts.size(); ++i) {
    cumulative += reading.counts[i];
    const std::string bound =
        i < reading.bounds.size() ? exposition_number(reading.bounds[i]) : "+Inf";
    line("_bucket", labels + comma + "le=\"" + bound + "\"", std::to_string(cumulative));
  }
  line("_sum", labels, exposition_number(reading.sum));
  line("_count", labels, std::to_string(cumulative));
}

void MetricRegistry::expose_summary(const Family& family, const Child& child, std::string& text) {
  const std::string labels = exposition_labels(child.labels);
  const std::vector<double> values = child.summary->quantiles(Summary::kQuantiles);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string quantile = "quantile=\"" + exposition_number(Summary::kQuantiles[i]) + "\"";
    append_exposition_line(family.name, "", labels.empty() ? quantile : labels + "," + quantile,
                           exposition_number(values[i]), text);
  }
  append_exposition_line(family.name, "_sum", labels, exposition_number(child.summary->sum()),
                         text);
  append_exposition_line(family.name, "_count", labels, std::to_string(child.summary->count()),
                         text);
}

}  // namespace kvasir
