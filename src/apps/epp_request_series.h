// The metrics of requests, by model, target model, tenant and priority: upstream's
// llm_d_epp_request_* and their deprecated inference_objective_* twins.
//
// Clients choose the labels, so they are capped: 1,000 models (as asked for and as sent on
// together), 1,000 tenants, 2,000 combinations of all; beyond them it says "other". A label set is
// looked up without a lock. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "epp/probe.h"
#include "telemetry/handle_table.h"
#include "telemetry/label_cap.h"
#include "telemetry/metrics.h"

namespace kvasir {

inline constexpr size_t kModelLabelsMax = 1000;
inline constexpr size_t kFairnessLabelsMax = 1000;
inline constexpr size_t kRequestSeriesMax = 2000;
inline constexpr size_t kLabelBytesMax = 256;  // a longer value is "other"

// Of one label set.
class RequestSeries {
 public:
  RequestSeries(MetricRegistry& registry, Labels labels);

  void picked(uint64_t request_bytes);
  void refused(std::string_view code);
  void ended(const EndReport& report);

 private:
  // Of answers: made with the first.
  struct Answers {
    Histogram* duration;
    Histogram* bytes;
    Histogram* input_tokens;
    Histogram* output_tokens;
    Histogram* cached_tokens;
    Histogram* per_token;
    Histogram* streaming_per_token;
    std::array<Histogram*, 2> first_token;  // streaming: 1
  };
  const Answers& answers();
  void error(size_t code);

  MetricRegistry& registry_;
  const Labels labels_;
  Counter& total_;
  Histogram& bytes_;
  Gauge& running_;
  std::array<std::atomic<Counter*>, 10> errors_{};
  std::once_flag answers_made_;
  Answers answers_{};
};

class RequestSeriesTable {
 public:
  // Announces the twins. `registry` must outlive it.
  explicit RequestSeriesTable(MetricRegistry& registry);

  RequestSeries& of(const RequestLabels& labels);
  // The value of a label as the caps leave it.
  std::string_view model(std::string_view name) { return capped(models_, name); }
  std::string_view fairness_id(std::string_view id) { return capped(fairness_ids_, id); }

 private:
  static std::string_view capped(LabelCap& cap, std::string_view value) {
    return value.size() <= kLabelBytesMax ? cap(value) : kOtherLabel;
  }

  MetricRegistry& registry_;
  LabelCap models_{kModelLabelsMax};
  LabelCap fairness_ids_{kFairnessLabelsMax};
  HandleTable<std::unique_ptr<RequestSeries>> table_{kRequestSeriesMax};
  std::once_flag other_made_;
  std::optional<RequestSeries> other_;  // when the table is full
};

}  // namespace kvasir
