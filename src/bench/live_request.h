// One request of a replay while it is under way: sends it, reads its stream, and says how it ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/completion_request.h"
#include "bench/outcome.h"
#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "wire/openai_stream.h"
#include "wire/sse_scanner.h"

namespace kvasir {

// What is the same for all requests of a replay.
struct ReplayOptions {
  std::vector<HostPort> origins;  // at least one; rows are dealt to them in turn
  CompletionOptions completion;
  double time_scale = 1;  // wall seconds are this many times shorter than those of the trace
  Duration timeout = std::chrono::minutes(30);  // from the intended time; of the trace's time
  std::string request_id_prefix = "replay-";    // the row's number follows
};

// One of ReplayOptions::origins.
struct ReplayTarget {
  HostPort origin;
  HttpClient client;
};

class LiveRequest final : public HttpCallObserver, private SseScanner::Sink {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Called once, at the end. The request is on the call stack: destroy it later.
    virtual void on_request_over(LiveRequest& request, Outcome outcome) = 0;
  };

  // All but the values must outlive the request. `start` is when the first row was due, `due` when
  // this one is.
  LiveRequest(EventLoop& loop, ReplayTarget& target, const ReplayOptions& options, Owner& owner,
              const TraceRow& row, size_t row_number, TimePoint start, TimePoint due);
  ~LiveRequest() override;
  LiveRequest(const LiveRequest&) = delete;
  LiveRequest& operator=(const LiveRequest&) = delete;

  // Makes the request's bytes and sends them.
  void send();
  // Frees the request's bytes once they are sent. False while they are needed.
  bool free_sent_bytes();

 private:
  void on_head(const HttpHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  void on_event(std::string_view data) override;

  void on_timeout();
  void on_text(std::string_view text);
  // Remembers the first failure; later ones follow from it.
  void note_failure(std::string reason, std::string detail);
  void judge_answer();
  void judge_usage();
  void judge_refusal();
  void finish();
  double trace_ms(TimePoint at) const;

  static constexpr size_t kErrorBodyBytesMax = 16 * 1024;

  EventLoop& loop_;
  ReplayTarget& target_;
  const ReplayOptions& options_;
  Owner& owner_;
  const TraceRow& row_;
  const TimePoint start_;
  const TimePoint due_;
  HttpCall* call_ = nullptr;  // null before send() and after the end
  TimerId timer_ = kNoTimer;
  std::string head_;
  std::string body_;
  SseScanner scanner_;
  std::string error_body_;
  std::optional<TokenUsage> usage_;
  TimePoint now_{};  // when the bytes being read arrived
  std::optional<TimePoint> first_text_;
  TimePoint last_text_{};
  Outcome outcome_;
  bool event_stream_ = false;
  bool done_ = false;
};

}  // namespace kvasir
