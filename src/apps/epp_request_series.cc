#include "apps/epp_request_series.h"

#include <algorithm>
#include <string>

#include "apps/epp_buckets.h"

namespace kvasir {
namespace {

// The last one stands for those not listed.
constexpr std::array<std::string_view, 10> kCodes = {"BadRequest",         "Unauthorized",
                                                     "Forbidden",          "NotFound",
                                                     "PreconditionFailed", "ResourceExhausted",
                                                     "Internal",           "ServiceUnavailable",
                                                     "ModelServerError",   "Unknown"};
constexpr size_t kModelServerError = 8;

size_t place_of(std::string_view code) {
  const auto found = std::find(kCodes.begin(), kCodes.end() - 1, code);
  return static_cast<size_t>(found - kCodes.begin());
}

Labels with(Labels labels, std::string name, std::string_view value) {
  labels.emplace_back(std::move(name), value);
  return labels;
}

Labels labels_of(std::string_view model, std::string_view target, std::string_view fairness_id,
                 std::string_view priority) {
  return {{"model_name", std::string(model)},
          {"target_model_name", std::string(target)},
          {"fairness_id", std::string(fairness_id)},
          {"priority", std::string(priority)}};
}

void add_twins(MetricRegistry& registry) {
  struct Twin {
    const char* old_name;
    const char* name;
    std::vector<const char*> labels;
  };
  const std::vector<const char*> model = {"model_name", "target_model_name"};
  for (const Twin& twin : std::vector<Twin>{
           {"request_total", "request_total", {"model_name", "target_model_name", "priority"}},
           {"request_error_total",
            "request_error_total",
            {"model_name", "target_model_name", "error_code"}},
           {"request_duration_seconds", "request_duration_seconds", model},
           {"request_sizes", "request_size_bytes", model},
           {"response_sizes", "response_size_bytes", model},
           {"input_tokens", "request_input_tokens", model},
           {"output_tokens", "request_output_tokens", model},
           {"prompt_cached_tokens", "request_cached_tokens", model},
           {"running_requests", "request_running", {"model_name"}},
           {"normalized_time_per_output_token_seconds", "request_ntpot_seconds", model}}) {
    const std::string name = "llm_d_epp_" + std::string(twin.name);
    Mirror mirror;
    mirror.of = name;
    for (const char* label : twin.labels) mirror.keep.emplace_back(label, label);
    registry.mirror("inference_objective_" + std::string(twin.old_name),
                    "Deprecated: use " + name + ".", std::move(mirror));
  }
}

}  // namespace

RequestSeries::RequestSeries(MetricRegistry& registry, Labels labels)
    : registry_(registry),
      labels_(std::move(labels)),
      total_(registry.counter("llm_d_epp_request_total",
                              "Requests that an endpoint was picked for.", labels_)),
      bytes_(registry.histogram("llm_d_epp_request_size_bytes", "Bytes in a request's body.",
                                epp_buckets::kRequestBytes, labels_)),
      running_(registry.gauge("llm_d_epp_request_running",
                              "Requests that were picked for and whose answer is not over.",
                              labels_)) {}

void RequestSeries::picked(uint64_t request_bytes) {
  total_.add();
  bytes_.observe(static_cast<double>(request_bytes));
  running_.add(1);
}

void RequestSeries::refused(std::string_view code) {
  error(place_of(code));
}

void RequestSeries::error(size_t code) {
  Counter* counter = errors_[code].load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &registry_.counter("llm_d_epp_request_error_total",
                                 "Requests that were refused, or answered with an error.",
                                 with(labels_, "error_code", kCodes[code]));
    errors_[code].store(counter, std::memory_order_release);
  }
  counter->add();
}

const RequestSeries::Answers& RequestSeries::answers() {
  std::call_once(answers_made_, [this] {
    const auto histogram = [this](const char* name, const char* help,
                                  const std::vector<double>& bounds, const Labels& labels) {
      return &registry_.histogram("llm_d_epp_" + std::string(name), help, bounds, labels);
    };
    const auto first_token = [&](const char* streaming) {
      return histogram("request_ttft_seconds",
                       "From a request's first byte to the first byte of its answer's body.",
                       epp_buckets::kFirstToken, with(labels_, "streaming", streaming));
    };
    answers_.duration =
        histogram("request_duration_seconds", "From a request's first byte to its answer's last.",
                  epp_buckets::kDuration, labels_);
    answers_.bytes = histogram("response_size_bytes", "Bytes in an answer's body.",
                               epp_buckets::kAnswerBytes, labels_);
    answers_.input_tokens =
        histogram("request_input_tokens", "Prompt tokens, as the answer's usage says.",
                  epp_buckets::kInputTokens, labels_);
    answers_.output_tokens =
        histogram("request_output_tokens", "Generated tokens, as the answer's usage says.",
                  epp_buckets::kOutputTokens, labels_);
    answers_.cached_tokens = histogram("request_cached_tokens",
                                       "Prompt tokens read from cache, as the answer's usage says.",
                                       epp_buckets::kInputTokens, labels_);
    answers_.per_token =
        histogram("request_ntpot_seconds", "Duration divided by the generated tokens.",
                  epp_buckets::kPerToken, labels_);
    answers_.streaming_per_token =
        histogram("request_streaming_tpot_seconds",
                  "Of streamed answers: time behind the first token divided by the other tokens.",
                  epp_buckets::kStreamingPerToken, labels_);
    answers_.first_token = {first_token("false"), first_token("true")};
  });
  return answers_;
}

// Sizes and times are those of complete answers: an answer that was cut off says nothing of them.
void RequestSeries::ended(const EndReport& report) {
  running_.add(-1);
  if (report.ending != Ending::kNatural) return;
  if (report.status >= 400) error(kModelServerError);
  const Answers& answers = this->answers();
  const double seconds = to_seconds(report.total);
  answers.duration->observe(seconds);
  answers.bytes->observe(static_cast<double>(report.answer_bytes));
  const auto observe = [](Histogram* histogram, std::optional<uint32_t> tokens) {
    if (tokens) histogram->observe(*tokens);
  };
  observe(answers.input_tokens, report.prompt_tokens);
  observe(answers.output_tokens, report.completion_tokens);
  observe(answers.cached_tokens, report.cached_tokens);
  if (report.first_byte) {
    answers.first_token[report.streaming ? 1 : 0]->observe(to_seconds(*report.first_byte));
  }
  const uint32_t tokens = report.completion_tokens.value_or(0);
  if (tokens == 0) return;
  answers.per_token->observe(seconds / tokens);
  if (!report.streaming || !report.first_byte || tokens == 1) return;
  answers.streaming_per_token->observe((seconds - to_seconds(*report.first_byte)) / (tokens - 1));
}

RequestSeriesTable::RequestSeriesTable(MetricRegistry& registry) : registry_(registry) {
  add_twins(registry);
}

RequestSeries& RequestSeriesTable::of(const RequestLabels& labels) {
  HandleKey key{{labels.model, labels.target_model, labels.fairness_id}, labels.priority};
  if (const auto* found = table_.find(key)) return **found;
  key.texts = {model(labels.model), model(labels.target_model), fairness_id(labels.fairness_id)};
  const auto* made = table_.find_or_make(key, [&] {
    return std::make_unique<RequestSeries>(
        registry_,
        labels_of(key.texts[0], key.texts[1], key.texts[2], std::to_string(labels.priority)));
  });
  if (made != nullptr) return **made;
  std::call_once(other_made_, [this] {
    other_.emplace(registry_, labels_of(kOtherLabel, kOtherLabel, kOtherLabel, kOtherLabel));
  });
  return *other_;
}

}  // namespace kvasir
