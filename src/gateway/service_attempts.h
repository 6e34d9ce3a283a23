// A request to the members of a Service by a rule that says how often it may be tried and how long
// one try may take: one attempt after another, each at the next member, until one has an answer to
// pass on. Each is answered by a relay of its own, which takes this for the client. Private to
// gateway/.
//
// An attempt that failed may be followed by another as long as the client has nothing of its
// answer. It failed when no connection could be made or it broke, when it took too long, or when
// its status is one of the rule's. The pause before the next one grows from the rule's by its
// double each time, up to ten times of it, and up to half of it more by chance. What a member says
// in Retry-After is waited for when the same one is asked again.
//
// Owns itself. Lives on its loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "gateway/probe.h"
#include "gateway/retry_budget.h"
#include "net/http/http_exchange.h"
#include "net/io/socket.h"
#include "routes/route_rule.h"

namespace kvasir {

class ServiceAttempts;

// What one attempt comes to, as it is seen by its relay's observer: both may end before the other.
struct AttemptOutcome {
  std::string connection_failure;  // why; empty: a server answered, or nothing is known yet
  bool is_passed_over = false;     // the client gets nothing of it
};

// Where attempts are made, and what those of one thread share.
struct AttemptsHost {
  Executor& executor;
  Random& random;
  GatewayProbe& probe;
  RetryBudget& budget;
  // Sends one there, to be answered by that exchange.
  std::function<void(ServiceAttempts&, const HostPort&, std::shared_ptr<AttemptOutcome>)> send;
  // It is over.
  std::function<void(ServiceAttempts&)> remove;
};

class ServiceAttempts final : public HttpExchange,
                              private RawRelay,
                              private HttpExchange::Observer {
 public:
  // More than a rule says are not tried: each costs the Service another request.
  static constexpr uint32_t kRetriesMost = 16;
  // Of rules that do not say it. Source: Envoy's defaults.
  static constexpr uint32_t kRetries = 1;
  static constexpr Duration kBackoff = std::chrono::milliseconds(25);
  static constexpr int kBackoffGrowth = 10;
  // A member that wants to be left alone for longer has its answer passed on.
  static constexpr Duration kRetryAfterMost = std::chrono::seconds(2);

  // `members`: in the order in which they are asked; not empty. `host` outlives it.
  ServiceAttempts(const AttemptsHost& host, HttpExchange& client,
                  std::shared_ptr<const RouteRule> rule, const RouteTarget& target,
                  std::vector<HostPort> members, std::string request_id);
  ~ServiceAttempts() override;
  ServiceAttempts(const ServiceAttempts&) = delete;
  ServiceAttempts& operator=(const ServiceAttempts&) = delete;

  // Whether a rule says anything of it.
  static bool are_for(const RouteRule& rule);

  void begin();

  const std::shared_ptr<const RouteRule>& rule() const { return rule_; }
  const RouteTarget& target() const { return target_; }
  const std::string& request_id() const { return request_id_; }

  const HttpHead& head() const override { return client_.head(); }
  void set_target(std::string_view target, std::string_view host) override {
    client_.set_target(target, host);
  }
  HttpHead& editable_head() override { return client_.editable_head(); }
  std::string_view body() const override { return client_.body(); }
  void release_body() override {}  // the next attempt needs it
  void set_observer(HttpExchange::Observer* observer) override { relay_ = observer; }
  void respond(int status, std::string_view fields, std::string_view body) override;
  void start(int status, std::string_view fields) override;
  void write(std::string_view piece) override;
  void finish(std::string_view trailers) override;
  RawRelay* raw() override;
  void abort() override;
  size_t unsent_bytes() const override;
  Watcher* watcher() override { return client_.watcher(); }

 private:
  enum class State : uint8_t {
    kAsking,      // nothing of an answer
    kPassingOn,   // the client has something of it
    kPassedOver,  // this one is not for the client
  };

  // RawRelay; only when the client's exchange has one.
  bool client_keeps_alive() const override { return client_.raw()->client_keeps_alive(); }
  void start_raw(std::string_view head, bool keep_alive) override;
  size_t write_raw(std::string_view bytes) override;
  void finish_raw() override;

  void on_client_gone() override;
  void on_time_over() override;
  void on_drained() override;

  void send();
  // What the client gets of this answer: false: nothing, for it is tried again.
  bool is_to_pass(int status, std::string_view fields);
  bool try_again(RouteRetryReason reason, Duration pause_least);
  bool same_member_next() const { return attempt_ + 1 >= members_.size(); }
  Duration pause();
  void on_attempt_late();
  // Whoever carries the attempt gives it up.
  void drop_relay();
  void refuse(int status, const std::string& why);
  void tell(int status, std::string_view why);
  void leave();

  const AttemptsHost& host_;
  HttpExchange& client_;
  const std::shared_ptr<const RouteRule> rule_;
  const RouteTarget target_;
  const std::vector<HostPort> members_;
  const std::string request_id_;
  const uint32_t retries_;
  const TimePoint begun_;
  uint32_t attempt_ = 0;
  State state_ = State::kAsking;
  HttpExchange::Observer* relay_ = nullptr;  // who answers now; null: nobody
  std::shared_ptr<AttemptOutcome> outcome_;
  TimerId timer_ = kNoTimer;  // of the attempt, or before the next one
  bool is_retry_ = false;     // counted as one by the budget
};

}  // namespace kvasir
