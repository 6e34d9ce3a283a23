// The way of a journey to an endpoint; journey_answer.cc has the rest.
#include "serving/journey.h"

#include <algorithm>
#include <utility>

#include "flow/flow_outcome.h"
#include "kvindex/exact_caches.h"
#include "scheduling/decision_trace.h"
#include "serving/journey_ticket.h"
#include "serving/pool_thread.h"
#include "serving/token_source.h"

namespace kvasir {
namespace {

// However long its prefill is predicted to take.
constexpr Duration kExpectedMost = std::chrono::minutes(1);

JourneyRefusal refusal_of(FlowOutcome outcome) {
  const FlowAnswer& answer = answer_for(outcome);
  return {answer.status, answer.code, answer.dropped_reason, answer.text};
}

}  // namespace

struct Journey::Remote {
  FetchedScores scores;
  std::unique_ptr<RemoteScoreFetcher::Fetch> fetch;  // while it is under way
  std::unique_ptr<TokenSource::Waiting> tokens;      // the same
};

bool resets_cache(std::string_view method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = target.substr(std::min(path.size() + 1, target.size()));
  if (method != "POST") return false;
  // vLLM's sleep mode empties the cache from level 1 on, which is the one that is not named.
  if (path == "/sleep")
    return ("&" + std::string(query) + "&").find("&level=0&") == std::string::npos;
  return path == "/reset_prefix_cache" || path == "/flush_cache";  // vLLM's, SGLang's
}

Journey::Journey(PoolThread& thread, Owner& owner)
    : thread_(thread),
      owner_(owner),
      began_(thread.now()),
      whole_(began_),
      conduct_(thread.pool()) {}

Journey::~Journey() {
  end(Ending::kError);
}

void Journey::note_whole() {
  whole_ = thread_.now();
}

void Journey::begin(More more) {
  started_ = true;
  body_bytes_ = more.body_bytes;
  allowed_ = std::move(more.allowed);
  resets_cache_ = more.resets_cache;
  thread_.pool().probe().on_started();
}

void Journey::start(const std::optional<RequestPeek>& peek, More more) {
  Pool& pool = thread_.pool();
  scheduled_ = true;
  request_.read(pool.scheduler(), pool.estimator(), thread_.next_request_id(), peek, more.headers);
  streaming_ = request().first_token_visible;
  if (!more.headers.empty() || !more.fairness_id.empty() || more.priority) {
    RequestClass whose = request_class(more.headers, [this](std::string_view objective) {
      return thread_.priority_of(objective);
    });
    if (!more.fairness_id.empty()) whose.fairness_id = more.fairness_id;
    if (more.priority) whose.priority = *more.priority;
    request_.set_class(std::move(whose));
  }
  const auto tokens = std::move(more.tokens);
  const std::string_view body = more.body, authorization = more.authorization;
  begin(std::move(more));
  bool waits = false;
  if (tokens != nullptr) {
    set_tokens(tokens);
  } else if (peek) {
    waits = ask_tokens(*peek, body, authorization);
  }
  if (peek && ask_services(*peek)) waits = true;
  if (!waits) admit();
}

// Services that the configuration names. False: there are none.
bool Journey::ask_services(const RequestPeek& peek) {
  const auto& services = thread_.remote_services();
  if (!services) return false;
  remote().fetch = thread_.remote_scores().start(
      *services, peek, thread_.pool().snapshot(), [this](FetchedScores scores) {
        remote_->scores = std::move(scores);
        remote_->fetch.reset();
        request_.set_remote_scores(remote_->scores.view());
        on_answer();
      });
  return true;
}

// False: there is nothing to wait for.
bool Journey::ask_tokens(const RequestPeek& peek, std::string_view body,
                         std::string_view authorization) {
  if (!thread_.wants_tokens()) return false;
  const TokenAsk ask{peek, body, thread_.token_model(names_.target_model),
                     thread_.tokens_are_engines() ? authorization : std::string_view()};
  TokenSource::Started started = thread_.token_source().start(ask, [this](Tokens tokens) {
    const auto waited = std::move(remote_->tokens);  // lives until this is over
    use_tokens(tokens);
    on_answer();
  });
  if (started.tokens) {
    use_tokens(*started.tokens);
    return false;
  }
  remote().tokens = std::move(started.waiting);
  return true;
}

void Journey::use_tokens(const Tokens& tokens) {
  thread_.pool().probe().on_tokens(tokens);
  if (tokens.ids != nullptr) set_tokens(tokens.ids);
}

Journey::Remote& Journey::remote() {
  if (remote_ == nullptr) remote_ = std::make_unique<Remote>();
  return *remote_;
}

// The request goes on when all have answered, or not in time.
void Journey::on_answer() {
  if (remote_->fetch == nullptr && remote_->tokens == nullptr) admit();
}

void Journey::set_tokens(std::shared_ptr<const std::vector<uint32_t>> tokens) {
  request_.set_tokens(std::move(tokens), thread_.pool().exact_caches(),
                      thread_.exact_block_sizes());
  expected_for_ = thread_.expected_lifetime();
}

void Journey::admit() {
  const TimePoint begin = thread_.now();
  preparing_ = begin - whole_;
  const JourneyOptions& options = thread_.pool().options().journey;
  if (options.trace) trace_ = thread_.take_trace();
  const std::optional<FlowOutcome> outcome = ask_admission();
  admitted_ = thread_.now();
  scheduling_ = admitted_ - begin;
  if (outcome) return on_outcome(*outcome, admitted_);
  if (options.decision_deadline > Duration::zero()) {
    deadline_ = thread_.executor().after(options.decision_deadline, [this] { on_deadline(); });
  }
}

// nullopt: it is held. Do not touch request_ and what choose() writes until the ticket has told.
std::optional<FlowOutcome> Journey::ask_admission() {
  Admission& admission = thread_.pool().admission();
  if (admission.sheds(request())) return FlowOutcome::kShed;
  if (!admission.holds()) return outcome_of(choose());
  match_caches();  // for the order in which it waits; and so that it is hashed here
  ticket_ = std::make_shared<Ticket>(*this, thread_.executor());
  return admission.admit(ticket_);
}

void Journey::on_outcome(FlowOutcome outcome, TimePoint now) {
  held_ = now - admitted_;
  thread_.executor().cancel(std::exchange(deadline_, kNoTimer));
  if (outcome != FlowOutcome::kDispatched) {
    const JourneyRefusal refusal = refusal_of(outcome);
    refused(refusal);
    return owner_.on_refused(refusal);
  }
  sent(now);
  owner_.on_decided();
}

// When it is not held any more, its verdict is on its way.
void Journey::on_deadline() {
  deadline_ = kNoTimer;
  if (thread_.pool().admission().cancel(*ticket_)) {
    on_outcome(FlowOutcome::kEvictedTtl, thread_.now());
  }
}

void Journey::on_evicted(FlowOutcome outcome) {
  const JourneyRefusal refusal = refusal_of(outcome);
  refused(refusal);
  owner_.on_evicted(refusal);
}

// Before the scheduler's mutex.
void Journey::match_caches() {
  const ExactCaches* caches = thread_.pool().exact_caches();
  if (caches != nullptr) request_.match(*caches, *thread_.pool().snapshot());
}

// It was sent there: what its engine will say soon.
void Journey::expect_cached(const Decision& decision) {
  if (request().chains.empty() || expected_for_ <= Duration::zero()) return;
  const double scale = thread_.pool().options().time_scale;
  const Duration predicted = decision.predicted_wait + decision.predicted_prefill;
  const Duration lifetime = expected_for_ + from_seconds(to_seconds(predicted) / scale);
  thread_.pool().exact_caches()->expect(request().chains,
                                        decision.prefill.value_or(decision.endpoint), thread_.now(),
                                        std::min(lifetime, kExpectedMost));
}

// Of a held request on any thread, under the mutex of flow control.
Refusal Journey::choose() {
  match_caches();
  Choice choice{tried_, std::nullopt, trace_.get()};
  if (allowed_) choice.allowed = *allowed_;
  const Scheduled scheduled = thread_.pool().scheduler().schedule_among(request(), choice);
  if (!scheduled.ok()) return scheduled.refusal;
  const Decision before = std::exchange(decision_, scheduled.decision);
  booked_ = true;
  if (request().part == RequestPart::kAnswer) {
    // Whoever prefilled did so, whoever decodes.
    decision_.prefill = before.prefill;
    decision_.cached_tokens = before.cached_tokens;
    decision_.cached_exactly = before.cached_exactly;
  } else {
    expect_cached(decision_);
  }
  return Refusal::kNone;
}

bool Journey::start_anywhere(More more) {
  begin(std::move(more));
  if (!choose_anywhere()) return false;
  sent(thread_.now());
  return true;
}

bool Journey::choose_anywhere() {
  const std::optional<EndpointId> endpoint = thread_.next_in_turn(tried_, allowed_);
  if (endpoint) decision_.endpoint = *endpoint;
  return endpoint.has_value();
}

bool Journey::retry() {
  tried_.push_back(decision_.endpoint);
  release_booking();
  const TimePoint begin = thread_.now();
  const bool chosen = scheduled_ ? choose() == Refusal::kNone : choose_anywhere();
  const TimePoint now = thread_.now();
  scheduling_ += now - begin;
  if (chosen) sent(now);
  return chosen;
}

bool Journey::has_other() {
  tried_.push_back(decision_.endpoint);
  Choice choice{tried_, std::nullopt, nullptr};
  if (allowed_) choice.allowed = *allowed_;
  const bool other = thread_.pool().scheduler().has_healthy(choice);
  tried_.pop_back();
  return other;
}

// decision_ says where to.
void Journey::sent(TimePoint now) {
  ++attempts_;
  underway_ = true;
  const std::shared_ptr<const Snapshot> fleet = thread_.pool().snapshot();
  endpoint_ = fleet->endpoints[index_of(decision_.endpoint)].endpoint;
  conduct_.sent_to(decision_.endpoint);
  thread_.pool().probe().on_routed(*endpoint_);
  report_pick(*fleet, now);
}

std::shared_ptr<const Endpoint> Journey::endpoint_at(EndpointId id) const {
  return thread_.pool().snapshot()->endpoints[index_of(id)].endpoint;
}

void Journey::release_prompt() {
  request_.release_prompt();
  remote_.reset();
  tried_ = {};
  give_trace();
}

void Journey::give_trace() {
  if (trace_ != nullptr) thread_.give_trace(std::move(trace_));
}

// The attempt is over.
void Journey::release_booking() {
  if (std::exchange(booked_, false)) thread_.pool().scheduler().ended(request().id);
  if (std::exchange(underway_, false)) thread_.pool().probe().on_released(*endpoint_);
}

// Takes it out of the queue before anything touches what choose() reads and writes, and tells
// admission of its end after its booking is released, so that there is room for another.
void Journey::leave() {
  thread_.executor().cancel(std::exchange(deadline_, kNoTimer));
  Admission& admission = thread_.pool().admission();
  if (ticket_ != nullptr) admission.cancel(*ticket_);
  remote_.reset();  // choose() reads what it holds
  end_prefills();
  release_booking();
  if (ticket_ == nullptr) return;
  const std::shared_ptr<Ticket> ticket = std::move(ticket_);
  ticket->forget_journey();
  admission.ended(*ticket, usage_.prompt_tokens().value_or(0),
                  usage_.completion_tokens().value_or(0));
}

}  // namespace kvasir
