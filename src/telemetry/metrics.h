// Counters, gauges, histograms and summaries, and their Prometheus text exposition.
//
// A MetricRegistry hands out references that stay valid for its life; keep them, since looking one up
// takes a lock. Everything is thread-safe; updates are relaxed atomics.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "telemetry/summary.h"

namespace kvasir {

class Counter {
 public:
  void add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double amount);
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // `bounds`: upper bounds, ascending; +Inf is implied.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);

 private:
  friend class MetricRegistry;
  const std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;  // one for each bound and one beyond
  std::atomic<double> sum_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

// A family exposed once more under another name, worked out when the page is: it costs nothing
// until then. Children that become one are added up.
struct Mirror {
  std::string of;                   // the family's name; no summary
  Labels where = {};                // only children with these labels
  Labels keep = {};                 // which labels stay, and what they are called: {old, new}
  bool keep_all = false;            // all of them, as they are
  std::vector<double> bounds = {};  // of a histogram: some of its bounds; empty: all
};

class MetricRegistry {
 public:
  MetricRegistry() = default;
  // A view of `all`, which must outlive it: what is asked of it is made there, with `more` behind
  // its labels. It exposes nothing itself, and has no mirrors. Null: no view, and `more` is empty.
  MetricRegistry(MetricRegistry* all, Labels more) : all_(all), more_(std::move(more)) {}

  // The metric of that name and those labels, made when it is new. Names follow Prometheus' rules;
  // a counter's ends in _total. One name has one type, one help text and one set of bounds.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help,
                       const std::vector<double>& bounds, const Labels& labels = {});
  // `clock` must outlive the registry.
  Summary& summary(std::string_view name, std::string_view help, const Clock& clock,
                   const Labels& labels = {});
  // `of` need not be there yet; while it has no children, nothing is exposed.
  void mirror(std::string_view name, std::string_view help, Mirror mirror);

  // The text format, version 0.0.4 (Content-Type kExpositionType), in order of registration.
  std::string expose() const;

 private:
  enum class Type : uint8_t { kCounter, kGauge, kHistogram, kSummary };
  struct Child {
    Labels labels;
    std::unique_ptr<Counter> counter = {};
    std::unique_ptr<Gauge> gauge = {};
    std::unique_ptr<Histogram> histogram = {};
    std::unique_ptr<Summary> summary = {};
  };
  struct Family {
    std::string name;
    std::string help;
    Type type;
    std::deque<Child> children = {};
    std::unordered_map<std::string, Child*> by_labels = {};  // rendered
    std::unique_ptr<Mirror> mirror = {};
  };
  // What one child's lines say.
  struct Reading {
    double value = 0;
    uint64_t count = 0;                 // of a counter
    std::vector<double> bounds = {};    // of a histogram
    std::vector<uint64_t> counts = {};  // not cumulative
    double sum = 0;
  };

  Labels with_more(const Labels& labels) const;
  Child& child(std::string_view name, std::string_view help, Type type, const Labels& labels);
  Family& family(std::string_view name, std::string_view help, Type type);
  void expose_mirror(const Family& mirror, std::string& text) const;
  static Reading read(Type type, const Child& child);
  static void merge(const Reading& more, Reading& into);
  static Reading coarser(const Reading& reading, const std::vector<double>& bounds);
  static void expose_reading(const Family& family, Type type, const std::string& labels,
                             const Reading& reading, std::string& text);
  static void expose_summary(const Family& family, const Child& child, std::string& text);

  MetricRegistry* const all_ = nullptr;  // null: it is its own
  const Labels more_ = {};
  mutable std::mutex mutex_;
  std::deque<Family> families_;
  std::unordered_map<std::string, Family*> by_name_;
};

inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace kvasir
