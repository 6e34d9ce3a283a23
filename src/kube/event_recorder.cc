#include "kube/event_recorder.h"

#include <cstdio>
#include <deque>
#include <list>
#include <optional>
#include <tuple>
#include <utility>

#include "base/lifeline.h"
#include "base/text.h"
#include "kube/kube_time.h"
#include "net/http/http_status.h"
#include "wire/json/json_text.h"

namespace kvasir {

// An event and how often it happened.
struct EventSeries {
  ObjectReference about;
  KubeEvent event;
  std::string name;  // of the Event object
  TimePoint first_wall;
  TimePoint last_wall;
  TimePoint last;  // on the executor's clock
  uint64_t count = 1;
  uint64_t asked = 0;  // up to which count a write waits, is under way or is done
};

namespace {

constexpr size_t kNoteBytesMax = 1024;
constexpr size_t kFieldBytesMax = 128;
constexpr size_t kNameBytesMax = 253;

// Cut between two characters.
std::string cut(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

// Appends `,"KEY":"VALUE"`; nothing for an empty value.
void append_field(std::string_view key, std::string_view value, std::string& json) {
  if (value.empty()) return;
  json.append(json.back() == '{' ? "" : ",").append("\"").append(key).append("\":");
  append_json_string(value, json);
}

bool is_same(const EventSeries& series, const ObjectReference& about, const KubeEvent& event) {
  const auto all = [](const ObjectReference& o, const KubeEvent& e) {
    return std::tie(o.api_version, o.kind, o.key, o.uid, e.warning, e.reason, e.action, e.note);
  };
  return all(series.about, series.event) == all(about, event);
}

}  // namespace

class EventRecorder::State {
 public:
  State(Executor& executor, KubeApi& api, const Clock& wall_clock, EventRecorderOptions options,
        std::function<void(const std::string&)> told)
      : executor_(executor),
        api_(api),
        wall_clock_(wall_clock),
        options_(std::move(options)),
        told_(std::move(told)) {}
  ~State() {
    executor_.cancel(sweep_);
    executor_.cancel(retry_);
  }

  void record(const ObjectReference& about, KubeEvent event) {
    event.note = cut(event.note, kNoteBytesMax);
    event.reason = cut(event.reason, kFieldBytesMax);
    event.action = cut(event.action, kFieldBytesMax);
    for (const SeriesPtr& series : series_) {
      if (!is_same(*series, about, event)) continue;
      ++series->count;
      series->last = executor_.now();
      series->last_wall = wall_clock_.now();
      if (series->count == 2) write(series);
      return;
    }
    begin_series(about, std::move(event));
  }

 private:
  using SeriesPtr = std::shared_ptr<EventSeries>;

  void begin_series(const ObjectReference& about, KubeEvent event) {
    const auto series = std::make_shared<EventSeries>();
    series->about = about;
    series->event = std::move(event);
    series->last = executor_.now();
    series->first_wall = series->last_wall = wall_clock_.now();
    series->name = new_name(*series);
    series_.push_back(series);
    if (series_.size() > options_.series_max) series_.pop_front();
    write(series);
    if (sweep_ == kNoTimer) sweep_later();
  }
  // As client-go names them, and never twice the same.
  std::string new_name(const EventSeries& series) {
    char suffix[32];
    const auto nanos = series.first_wall.time_since_epoch().count();
    last_suffix_ = std::max<int64_t>(last_suffix_ + 1, nanos);
    std::snprintf(suffix, sizeof suffix, ".%llx", static_cast<unsigned long long>(last_suffix_));
    return cut(series.about.key.name, kNameBytesMax - sizeof suffix) + suffix;
  }

  void sweep_later() {
    sweep_ = executor_.after(options_.repeat_after, [this] { sweep(); });
  }
  // Writes the counts that changed, and forgets what did not happen again.
  void sweep() {
    sweep_ = kNoTimer;
    for (const SeriesPtr& series : series_) {
      if (series->count > std::max<uint64_t>(series->asked, 1)) write(series);
    }
    const TimePoint now = executor_.now();
    std::erase_if(series_, [&](const SeriesPtr& series) {
      return now - series->last >= options_.repeat_after;
    });
    if (!series_.empty()) sweep_later();
  }

  // --- Writing: one at a time, in their order; a count that waits already waits for the last one
  // ---
  void write(const SeriesPtr& series) {
    if (series->asked > 1 && is_waiting(series)) {
      series->asked = series->count;
      return;
    }
    if (waiting_.size() >= options_.waiting_max) {
      return tell("more than " + std::to_string(options_.waiting_max) +
                  " events wait; this is "
                  "dropped: " +
                  series->event.note);
    }
    series->asked = series->count;
    waiting_.push_back({series, series->count == 1});
    if (call_ == nullptr && retry_ == kNoTimer) write_next();
  }
  bool is_waiting(const SeriesPtr& series) const {
    // The first may be under way.
    for (size_t i = 1; i < waiting_.size(); ++i) {
      if (waiting_[i].series == series && !waiting_[i].is_new) return true;
    }
    return false;
  }
  void write_next() {
    if (waiting_.empty()) return;
    const Waiting& next = waiting_.front();
    KubeRequest request = next.is_new ? create_request(*next.series) : patch_request(*next.series);
    call_ = api_.start(std::move(request), [this](const KubeAnswer& answer) {
      const std::unique_ptr<KubeCall> call = std::move(call_);  // until this returns
      on_written(answer);
    });
  }
  void on_written(const KubeAnswer& answer) {
    Waiting& done = waiting_.front();
    if (answer.ok()) {
      trouble_ = false;
    } else if (answer.http_status == kHttpNotFound && !done.is_new) {
      done.is_new = true;  // the server forgets Events after an hour: it begins anew
      done.series->first_wall = wall_clock_.now();
      done.series->name = new_name(*done.series);
      return write_next();
    } else if (answer.http_status == kHttpForbidden && !legacy_) {
      legacy_ = true;
      refusal_ = answer.status.message;
      return write_next();
    } else {
      const bool forbidden = answer.http_status == kHttpForbidden;  // both kinds are
      if (forbidden) legacy_ = false;
      tell(forbidden ? refusal_ : answer.status.message);
      const bool later = answer.http_status == 0 || answer.http_status == kHttpTooManyRequests ||
                         answer.http_status >= kHttpServerErrors;
      if (later && ++tries_ < options_.tries_max) return retry_later(answer);
    }
    tries_ = 0;
    waiting_.pop_front();
    write_next();
  }
  void retry_later(const KubeAnswer& answer) {
    const Duration asked = std::chrono::seconds(answer.status.retry_after_seconds);
    retry_ = executor_.after(std::max(options_.retry_pause, asked), [this] {
      retry_ = kNoTimer;
      write_next();
    });
  }
  void tell(const std::string& why) {
    if (std::exchange(trouble_, true) || told_ == nullptr) return;
    told_("events cannot be written: " + why);
  }

  // --- What is written ---
  std::string events_path(const EventSeries& series) const {
    const std::string& name_space = series.about.key.name_space;
    return (legacy_ ? "/api/v1/namespaces/" : "/apis/events.k8s.io/v1/namespaces/") +
           percent_encoded(name_space.empty() ? "default" : name_space) + "/events";
  }
  static std::string series_json(const EventSeries& series) {
    return R"({"count":)" + std::to_string(series.count) + R"(,"lastObservedTime":")" +
           micro_time(series.last_wall) + "\"}";
  }
  KubeRequest patch_request(const EventSeries& series) const {
    return {"PATCH", events_path(series) + "/" + percent_encoded(series.name),
            R"({"series":)" + series_json(series) + "}", kMergePatch};
  }
  KubeRequest create_request(const EventSeries& series) const {
    const ObjectReference& about = series.about;
    std::string json = R"({"kind":"Event")";
    append_field("apiVersion", legacy_ ? "v1" : "events.k8s.io/v1", json);
    json += R"(,"metadata":{)";
    append_field("name", series.name, json);
    append_field("namespace", about.key.name_space.empty() ? "default" : about.key.name_space,
                 json);
    json += legacy_ ? R"(},"involvedObject":{)" : R"(},"regarding":{)";
    append_field("apiVersion", about.api_version, json);
    append_field("kind", about.kind, json);
    append_field("namespace", about.key.name_space, json);
    append_field("name", about.key.name, json);
    append_field("uid", about.uid, json);
    json += "}";
    append_field("type", series.event.warning ? "Warning" : "Normal", json);
    append_field("reason", series.event.reason, json);
    append_field("action", series.event.action, json);
    append_field(legacy_ ? "message" : "note", series.event.note, json);
    append_field("eventTime", micro_time(series.first_wall), json);
    append_field(legacy_ ? "reportingComponent" : "reportingController", options_.controller, json);
    append_field(
        "reportingInstance",
        options_.instance.empty() ? options_.controller : cut(options_.instance, kFieldBytesMax),
        json);
    if (series.count > 1) json += R"(,"series":)" + series_json(series);
    return {"POST", events_path(series), json + "}"};
  }

  struct Waiting {
    SeriesPtr series;
    bool is_new;  // it is created; otherwise its count is written
  };

  Executor& executor_;
  KubeApi& api_;
  const Clock& wall_clock_;
  const EventRecorderOptions options_;
  const std::function<void(const std::string&)> told_;
  std::list<SeriesPtr> series_;  // the one that began last at the end
  std::deque<Waiting> waiting_;  // the first one may be under way
  std::unique_ptr<KubeCall> call_;
  TimerId sweep_ = kNoTimer;
  TimerId retry_ = kNoTimer;
  size_t tries_ = 0;  // of the first that waits
  int64_t last_suffix_ = 0;
  bool trouble_ = false;  // was told
  // Events of the core group are written: the same ones, with other names for some fields, for
  // which roles made for older programs give the right.
  bool legacy_ = false;
  std::string refusal_;  // of events.k8s.io
};

EventRecorder::EventRecorder(Executor& executor, KubeApi& api, const Clock& wall_clock,
                             EventRecorderOptions options,
                             std::function<void(const std::string&)> told)
    : state_(new State(executor, api, wall_clock, std::move(options), std::move(told))) {}

EventRecorder::~EventRecorder() = default;

void EventRecorder::record(const ObjectReference& about, KubeEvent event) {
  state_->record(about, std::move(event));
}

}  // namespace kvasir
