// Whether one endpoint is healthy, from what its checks and its requests tell. Sans I/O.
//
// Thresholds count good or bad answers in a row. An answer that says "not healthy" counts as bad;
// one that does not come in time counts as bad unless the endpoint served a request meanwhile: it
// is busy, not dead. An endpoint whose checks are answered late gets more time for the next ones.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace kvasir {

struct HealthRules {
  Duration timeout = std::chrono::seconds(2);  // of one check
  // An answer that comes later than `timeout` is still waited for, this many times as long in all:
  // it shows that the endpoint lives. Twice as long as the last answer took, but no more than that,
  // is what the next checks may take.
  uint32_t lateness_max = 5;
  uint32_t healthy_threshold = 1;
  uint32_t unhealthy_threshold = 2;
};

class EndpointHealth {
 public:
  explicit EndpointHealth(const HealthRules& rules) : rules_(rules), patience_(rules.timeout) {}

  bool healthy() const { return healthy_; }
  bool was_healthy() const { return was_healthy_; }
  // A request or a check met something bad, and no check has passed since: check soon.
  bool suspected() const { return healthy_ && suspected_; }
  // How long a check may take before it counts as unanswered; then again so long, and so on.
  Duration patience() const { return patience_; }

  void check_passed(Duration took) {
    patience_ =
        std::clamp<Duration>(2 * took, rules_.timeout, rules_.lateness_max * rules_.timeout);
    says_unhealthy_ = suspected_ = connect_counted_ = false;
    count_success();
  }
  void check_says_unhealthy() {
    says_unhealthy_ = true;
    connect_counted_ = false;
    count_failure();
  }
  // No answer in time, or none at all. `served`: the endpoint answered a request since the check
  // began.
  void check_unanswered(bool served) {
    connect_counted_ = false;
    if (!served) return count_failure();
    failures_ = 0;
  }

  // A request got an answer while the endpoint was unhealthy. What its own check says counts more.
  void request_served() {
    if (!healthy_ && !says_unhealthy_) count_success();
  }
  // A request could not connect. Many at once count once: the next check decides.
  void connect_failed() {
    suspected_ = true;
    if (!connect_counted_) count_failure();
    connect_counted_ = true;
  }
  // A request's connection was closed without an answer. That alone is no failure: it may be the
  // request's fault.
  void connection_closed() { suspected_ = true; }

 private:
  void count_success() {
    failures_ = 0;
    if (++successes_ < rules_.healthy_threshold) return;
    healthy_ = was_healthy_ = true;
  }
  void count_failure() {
    suspected_ = true;
    successes_ = 0;
    if (++failures_ >= rules_.unhealthy_threshold) healthy_ = false;
  }

  const HealthRules rules_;
  Duration patience_;
  uint32_t successes_ = 0;  // in a row, as are the failures
  uint32_t failures_ = 0;
  bool healthy_ = false;
  bool was_healthy_ = false;
  bool says_unhealthy_ = false;
  bool suspected_ = false;
  bool connect_counted_ = false;  // since the last check
};

}  // namespace kvasir
