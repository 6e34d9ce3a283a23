// Counters, gauges and histograms, and their Prometheus text exposition.
//
// A Registry hands out references that stay valid for its life; keep them, since looking one up takes a lock.
// Everything is thread-safe; updates are relaxed atomics.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  friend class Registry;
  const std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;  // one for each bound and one beyond
  std::atomic<double> sum_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

class Registry {
 public:
  // The metric of that name and those labels, made when it is new. Names follow Prometheus' rules; a counter's
  // ends in _total. One name has one type, one help text and one set of bounds.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                       const Labels& labels = {});

  // The text format, version 0.0.4 (Content-Type kExpositionType), in order of registration.
  std::string expose() const;

 private:
  enum class Type : uint8_t { kCounter, kGauge, kHistogram };
  struct Child {
    std::string labels;  // rendered, without braces
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
  };
  struct Family {
    std::string name;
    std::string help;
    Type type;
    std::deque<Child> children;
  };

  Child& child(std::string_view name, std::string_view help, Type type, const Labels& labels);
  static void expose_child(const Family& family, const Child& child, std::string& text);

  mutable std::mutex mutex_;
  std::deque<Family> families_;
};

inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace kvasir
