// What `kvasir gateway` can be told. Every limit has its name and its default here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "feeds/endpoint_monitor.h"
#include "feeds/scrape_plan.h"
#include "fleet/outlier_ejection.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "scheduling/saturation.h"
#include "timing/engine_profile.h"

namespace kvasir {

struct GatewayOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;  // 0: a free one
  // Where the endpoints come from, exactly one: workers, a file that is watched, or a name that is looked up again and
  // again.
  std::vector<HostPort> workers;
  std::string endpoints_file = {};
  std::optional<HostPort> dns = {};
  Duration file_interval = std::chrono::seconds(1);  // zero: the file is read once
  Duration dns_interval = std::chrono::seconds(5);
  // Endpoints at one time, when they are not `workers`; more are refused.
  size_t endpoints_max = 1024;
  std::string policy = "kv";
  // The text of an EndpointPickerConfig, which then routes instead of `policy`, and its file's name.
  std::string config = {};
  std::string config_name = {};
  bool endpoints_from_config = false;  // endpoints_file is the one of its dataLayer.discovery
  bool allow_alpha_plugins = false;
  // Hold requests here until a worker has little work ahead of it (serving/holding.h), for `held_most` of the policy's
  // clock. For kv and load-cost, without a configuration: that has its own flow control.
  bool hold = false;
  Duration held_most = std::chrono::seconds(60);
  Duration hold_threshold = kHoldThreshold;
  // Priorities by the name that clients send in x-llm-d-inference-objective.
  std::map<std::string, int32_t, std::less<>> objectives = {};
  std::vector<std::string> plugin_files = {};  // shared objects with more plugin types
  // How often the endpoints' metrics are read when a configuration routes (the built-in policies need none).
  Duration refresh_metrics_interval = kRefreshIntervalLeast;
  // Leave a worker out for a while that answers badly though it is healthy.
  bool eject_outliers = true;
  EjectionOptions ejection;
  EngineProfile profile;
  double time_scale = 1;  // model seconds a second, for the policy's clock
  uint32_t threads = 1;
  HttpServerLimits server;
  // Held of the bodies of all requests, until they are sent on; beyond: 503. Large ones get three quarters of it.
  size_t bodies_bytes_max = 192 * 1024 * 1024;
  HttpClientLimits client;
  MonitorOptions monitor;
  // Attempts for one request, the first included; each on another endpoint.
  uint32_t attempts_max = 4;
  // Of these, after a worker closed the connection without an answer: the request may be what it died of.
  uint32_t closed_retries_max = 1;
  // Of these, after a worker answered 429, 500, 502, 503 or 504, or 200 with an error or nothing.
  uint32_t error_retries_max = 1;
  // Such an answer is kept, and sent when nobody else has one. A longer one, or one that takes longer, is given up.
  size_t error_answer_bytes_max = 64 * 1024;
  Duration error_answer_timeout = std::chrono::milliseconds(100);
  // After a failure its endpoint gets no requests for this long when others can have them (on the policy's clock);
  // for the longer one when another endpoint answered what it failed.
  Duration failure_pause = std::chrono::milliseconds(100);
  Duration fault_pause = std::chrono::seconds(1);
  // Answer bytes a slow client may leave unread here before the worker's connection is paused.
  size_t unread_bytes_max = 1024 * 1024;
  // A body that cannot be read is read again to refuse it in vLLM's words; a longer one is refused without them.
  size_t explained_body_bytes_max = 1024 * 1024;
  Duration drain_timeout = std::chrono::seconds(30);
};

}  // namespace kvasir
