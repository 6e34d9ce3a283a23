// One request at a Pool, from its last byte to the end of its answer, whoever carries its bytes: it
// waits for its turn, goes to an endpoint and perhaps to another; what it finds out about them,
// what its answer says of itself, and the report of it all.
//
//   journey.names() = ...;                     // as they become known
//   journey.start(peek, more);                 // on_decided() or on_refused(), at once or later
//   ... send it to endpoint(); has_other(), retry() when that fails ...
//   journey.answer_begins(status); first_byte(); look(bytes); note_answered();
//   journey.end(Ending::kNatural);
//
// A member of its owner, on its owner's thread. An owner may destroy itself in any of its
// callbacks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "model/decision.h"
#include "model/endpoint.h"
#include "serving/endpoint_conduct.h"
#include "serving/journey_report.h"
#include "serving/measured_request.h"
#include "wire/request/request_peek.h"
#include "wire/request/usage_watch.h"

namespace kvasir {

// Whether an engine that takes such a request forgets what its cache holds. `target`: the path,
// with its query or without.
bool resets_cache(std::string_view method, std::string_view target);

class PoolThread;
struct Tokens;
enum class FlowOutcome : uint8_t;
enum class Refusal : uint8_t;

// Whose request it is; see RequestLabels.
struct RequestNames {
  std::string request_id;
  std::string model;         // empty: as the peek says
  std::string target_model;  // the same
};

class Journey {
 public:
  class Owner {
   public:
    // endpoint() is where it goes, and is booked.
    virtual void on_decided() = 0;
    // It goes nowhere: nobody can take it, it waited too long, ...
    virtual void on_refused(const JourneyRefusal& refusal) = 0;
    // It was decided, and must end now for the sake of another.
    virtual void on_evicted(const JourneyRefusal& refusal) = 0;

   protected:
    ~Owner() = default;
  };

  struct More {
    // With lower-case names; they must stay until release_prompt() or the end.
    std::span<const RequestHeader> headers = {};
    uint64_t body_bytes = 0;
    // Only these may be chosen, ascending; nullopt: all.
    std::optional<std::vector<EndpointId>> allowed = {};
    // The prompt's token ids, when the owner knows them; null: they are looked for.
    std::shared_ptr<const std::vector<uint32_t>> tokens = {};
    // The JSON that the peek points into, for who finds out its tokens; empty: there is none. And
    // the request's own field Authorization, which engines that are asked for them get.
    std::string_view body = {};
    std::string_view authorization = {};
    // Of a client that is known; both outrank what the headers say. Empty, nullopt: they say it.
    std::string_view fairness_id = {};
    std::optional<int32_t> priority = {};
    // It tells an engine to forget what its cache holds, and is for no model.
    bool resets_cache = false;
  };

  // It begins now. Both must outlive it.
  Journey(PoolThread& thread, Owner& owner);
  // Takes it out of the queue, releases its booking, tells admission and reports it, in that order.
  ~Journey();
  Journey(const Journey&) = delete;
  Journey& operator=(const Journey&) = delete;

  RequestNames& names() { return names_; }
  const RequestNames& names() const { return names_; }
  TimePoint began() const { return began_; }
  // Its last byte was read now, and not when it began.
  void note_whole();

  // Asks the services that the configuration names, then for admission and for an endpoint. `peek`:
  // empty when the body was not understood; not needed afterwards.
  void start(const std::optional<RequestPeek>& peek, More more);
  // A request that is for no model goes to any endpoint: the best there are, in turn. Books nothing
  // and calls nobody. False: there is none.
  bool start_anywhere(More more);
  // The endpoint failed: another one, which was not tried yet. False: there is none, and nothing is
  // booked any more.
  bool retry();
  // Whether a healthy endpoint is left besides those that were tried.
  bool has_other();
  // The owner itself refuses it: that is reported.
  void refused(const JourneyRefusal& refusal);
  // There will be no retry: what only that needs is given back.
  void release_prompt();

  // Prefill legs, of a request whose decision names an endpoint that prefills, and whose owner
  // sends both legs. One that began is booked until end_prefill(), the first one from the decision
  // on. The place of the next one: first as the decision says, then as the policy picks among who
  // was not tried. nullopt: there is nobody else.
  std::optional<size_t> begin_prefill();
  void end_prefill(size_t leg);
  // The prompt lies there now, for whoever decodes: retry() picks who does.
  void prefilled(size_t leg, Duration time);
  // Whoever decodes computes the prompt, too.
  void prefill_together();
  EndpointId prefill_id(size_t leg) const { return prefills_->legs[leg].id; }
  const Endpoint& prefill_endpoint(size_t leg) const { return *prefills_->legs[leg].endpoint; }

  bool scheduled() const { return scheduled_; }  // start() and not start_anywhere()
  const Request& request() const { return request_.request(); }
  // Of the last attempt.
  const Decision& decision() const { return decision_; }
  const std::shared_ptr<const Endpoint>& endpoint() const { return endpoint_; }
  uint32_t attempts() const { return attempts_; }
  // Another one that the decision names.
  std::shared_ptr<const Endpoint> endpoint_at(EndpointId id) const;
  // Of every candidate of the last attempt, until release_prompt(). Empty without tracing.
  std::span<const ScoredEndpoint> scores() const;
  // Header fields that plugins add to the answer. `served`: HOST:PORT of the endpoint that answers,
  // as a gateway says; empty: it does not.
  std::vector<std::pair<std::string, std::string>> answer_fields(std::string_view served = {});
  Duration preparing() const { return preparing_; }
  Duration scheduling() const { return scheduling_; }
  Duration held() const { return held_; }

  // The answer. Of one attempt after another: answer_begins() forgets what was seen of the last.
  void answer_begins(int status);
  void note_streaming(bool streaming) { streaming_ = streaming; }
  // Of a body that begins with these bytes; empty: it ended without any. Answers whether a status
  // of 200 was not true.
  bool look_for_error(std::string_view first_bytes);
  bool failed_in_200() const { return failed_in_200_; }
  int status() const { return status_; }
  // A byte of the body is there: the first token of a stream, the whole answer otherwise.
  void first_byte() {
    if (!first_byte_) note_first_byte();
  }
  // The body's next bytes.
  void look(std::string_view bytes) {
    answer_bytes_ += bytes.size();
    if (scheduled_) usage_.look(bytes);
  }
  // What the answer said of itself so far.
  const UsageWatch& usage() const { return usage_; }
  // The client gets this answer: what its status and first bytes say of the endpoint.
  void note_answered();
  // Another endpoint answers than the one that was sent to.
  void note_served_elsewhere() { served_elsewhere_ = true; }
  // What else the owner finds out about the endpoint.
  EndpointConduct& conduct() { return conduct_; }
  // The client gets the answer of an earlier attempt after all.
  void answered_by(const Decision& decision, std::shared_ptr<const Endpoint> endpoint);
  // The owner worked so long on a message of the answer.
  void note_work(Duration took) { processing_ += took; }

  // It is over: as ~Journey(). `status`: what the client got. Later calls do nothing.
  void end(Ending ending, int status);
  void end(Ending ending) { end(ending, status_); }

 private:
  class Ticket;   // what admission holds of it
  struct Remote;  // the services that are asked, and what they said
  struct Prefills {
    struct Leg {
      EndpointId id{};
      std::shared_ptr<const Endpoint> endpoint;
      RequestId booking = 0;  // 0: the request's own
      bool underway = true;
      uint32_t cached_tokens = 0;
      bool cached_exactly = false;
    };
    std::vector<Leg> legs;
    std::optional<size_t> answered;  // the leg that prefilled
    Duration time{};                 // until it had
  };

  void begin(More more);
  Remote& remote();
  bool ask_services(const RequestPeek& peek);
  bool ask_tokens(const RequestPeek& peek, std::string_view body, std::string_view authorization);
  void use_tokens(const Tokens& tokens);
  void on_answer();
  void set_tokens(std::shared_ptr<const std::vector<uint32_t>> tokens);
  void admit();
  std::optional<FlowOutcome> ask_admission();
  void on_outcome(FlowOutcome outcome, TimePoint now);
  void on_evicted(FlowOutcome outcome);
  void on_deadline();
  void match_caches();
  Refusal choose();
  void expect_cached(const Decision& decision);
  std::optional<Prefills::Leg> pick_prefill();
  void end_prefills();
  bool choose_anywhere();
  void sent(TimePoint now);
  void note_first_byte();
  void release_booking();
  void leave();
  void give_trace();
  RequestLabels labels() const;
  void report_pick(const Snapshot& fleet, TimePoint now);
  void report_end(Ending ending, int status);

  PoolThread& thread_;
  Owner& owner_;
  const TimePoint began_;
  TimePoint whole_;
  TimePoint admitted_{};
  RequestNames names_;
  MeasuredRequest request_;
  uint64_t body_bytes_ = 0;
  std::optional<std::vector<EndpointId>> allowed_;
  std::vector<EndpointId> tried_;
  std::unique_ptr<Remote> remote_;        // null: nobody is asked
  std::shared_ptr<Ticket> ticket_;        // null: it cannot be held
  std::unique_ptr<Prefills> prefills_;    // null: no leg of one began
  std::unique_ptr<DecisionTrace> trace_;  // borrowed from the thread
  TimerId deadline_ = kNoTimer;           // while it is held
  Decision decision_;
  std::shared_ptr<const Endpoint> endpoint_;  // of the last attempt; its slot may change hands
  EndpointConduct conduct_;
  uint32_t attempts_ = 0;
  Duration expected_for_{};  // see JourneyOptions::expected_lifetime
  bool resets_cache_ = false;
  bool started_ = false;
  bool scheduled_ = false;
  bool underway_ = false;  // an attempt is, at endpoint_
  bool booked_ = false;
  bool ended_ = false;
  Duration preparing_{};
  Duration scheduling_{};
  Duration held_{};
  // Of the answer.
  int status_ = 0;
  bool streaming_ = false;
  bool failed_in_200_ = false;
  bool served_elsewhere_ = false;
  std::optional<Duration> first_byte_;
  Duration processing_{};
  uint64_t answer_bytes_ = 0;
  UsageWatch usage_;
};

}  // namespace kvasir
