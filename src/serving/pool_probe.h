// What a pool reports of itself; the probe of every server extends it. Called from every thread:
// implementations are thread-safe and do not block. Views are valid during the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "feeds/fleet_feeds.h"
#include "flow/flow_stats.h"
#include "scheduling/filter_probe.h"
#include "serving/journey_report.h"
#include "serving/kv_news.h"

namespace kvasir {

struct Tokens;

class PoolProbe : public FleetProbe, public FlowProbe, public FilterProbe, public JourneyProbe {
 public:
  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                  Duration held) override {
    static_cast<void>(request), static_cast<void>(band), static_cast<void>(outcome),
        static_cast<void>(held);
  }
  // The configuration's file changed: `error` is empty when the new one is in use, else the old one
  // stays.
  virtual void on_configuration_read(std::string_view error) { static_cast<void>(error); }
  // The new one names fewer plugins: a file that was cut short does too.
  virtual void on_fewer_plugins(size_t before, size_t now) {
    static_cast<void>(before), static_cast<void>(now);
  }
  // A request for `model` is sent on with `target`, for `rewrite` says so.
  virtual void on_model_rewritten(std::string_view rewrite, std::string_view model,
                                  std::string_view target) {
    static_cast<void>(rewrite), static_cast<void>(model), static_cast<void>(target);
  }
  // What became of the search for a request's tokens.
  virtual void on_tokens(const Tokens& tokens) { static_cast<void>(tokens); }
  // A request that went there told its engine to forget what its cache holds, and was answered so.
  virtual void on_cache_reset(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  // Of the KV events of an endpoint's rank; `text`: why, in words. Told once for each change.
  virtual void on_kv_news(const Endpoint& endpoint, uint32_t rank, KvNews news,
                          std::string_view text) {
    static_cast<void>(endpoint), static_cast<void>(rank), static_cast<void>(news),
        static_cast<void>(text);
  }
  // A service that the configuration names cannot be looked up; its address stays as it was. Told
  // once.
  virtual void on_service_lost(std::string_view why) { static_cast<void>(why); }
};

}  // namespace kvasir
