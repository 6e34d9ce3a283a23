// A simulated vLLM server: its HTTP surface over an engine on model time.
//
// Lives on one EventLoop; everything is called on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "engine/engine.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "vllm/api_error.h"
#include "worker/admission.h"
#include "worker/generations.h"
#include "worker/kv_event_writer.h"
#include "worker/routes.h"
#include "worker/served_model.h"
#include "worker/worker_metrics.h"

namespace kvasir {

struct WorkerOptions {
  EngineProfile profile;
  EngineOptions engine;
  ServedModel model;
  uint64_t seed = 0;      // of the answers
  double time_scale = 1;  // model seconds in a second
  std::vector<std::string> api_keys = {};  // each opens; empty: none is asked for
  bool force_include_usage = false;        // token counts at the end of every stream
  ToolOptions tools;
  bool tutorial_metrics = false;  // WorkerMetrics::add_tutorial_names()
  HttpServerLimits limits;
};

// vLLM takes heads of 70 kB; this is where a flood of headers is cut off (431).
inline constexpr size_t kWorkerHeadBytes = 128 * 1024;
// A longer request target is no HTTP to vLLM's parser.
inline constexpr size_t kTargetBytesMax = 65535;

class WorkerServer final : private HttpHandler {
 public:
  // Serves on `listener`. `events`: told of the prefix cache; null: nobody is. It and `loop` must
  // outlive the server.
  WorkerServer(EventLoop& loop, Descriptor listener, WorkerOptions options,
               KvEventWriter* events = nullptr);
  ~WorkerServer() override;
  WorkerServer(const WorkerServer&) = delete;
  WorkerServer& operator=(const WorkerServer&) = delete;

  uint16_t port() const { return server_.port(); }
  EngineStats stats() const { return engine_.stats(); }

  // KV blocks travel, by a connector whose owner is kv_owner(). Once, before the first request.
  // `recompute`: a load that fails fails no request. `nixl`: shows vLLM's metrics of NixlConnector.
  void set_connector(std::unique_ptr<KvConnector> connector, bool recompute, bool nixl);
  KvConnector::Owner& kv_owner() { return generations_.transfers(); }

  // Requests are served as before, but each answer ends its connection: for the time before
  // drain().
  void close_after_answers() { server_.close_after_answers(); }
  // Stops accepting; `drained` is called when the requests under way are answered and nobody is
  // to fetch KV blocks here any more.
  void drain(std::function<void()> drained);

 private:
  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;

  void route(HttpExchange& exchange, const std::string& path);
  void dispatch(HttpExchange& exchange, WorkerApi api);
  void complete(HttpExchange& exchange);
  void chat(HttpExchange& exchange);
  void tokenize(HttpExchange& exchange);
  void detokenize(HttpExchange& exchange);
  void reset_prefix_cache(HttpExchange& exchange);
  void generate(HttpExchange& exchange, const GenerationRequest& request, GenerationView view,
                const AdmittedRequest& admission);
  // Tells who holds KV blocks for a request that is refused.
  void give_up_blocks(const HttpExchange& exchange);
  void refuse(HttpExchange& exchange, const ApiError& error);
  std::string adapter_of(const GenerationRequest& request) const;
  std::string model_list() const;
  std::string metrics_page();
  void redirect(HttpExchange& exchange, std::string_view path);
  bool is_authorized(const HttpExchange& exchange, std::string_view path) const;
  AnswerHead head_of(const HttpExchange& exchange, const GenerationRequest& request,
                     AnswerKind kind);

  void answer(HttpExchange& exchange, int status, std::string_view fields, std::string_view body);
  void answer_json(HttpExchange& exchange, std::string_view body);
  void answer_error(HttpExchange& exchange, const ApiError& error,
                    std::string_view more_fields = {});

  const WorkerOptions options_;
  const int64_t started_;  // Unix time
  const std::string fingerprint_;
  Random ids_;
  KvEventWriter* const events_;
  Engine engine_;
  WorkerMetrics metrics_;
  Generations generations_;
  std::string_view handler_;  // of the request at hand, for the metrics
  HttpServer server_;         // last: the first to go
};

}  // namespace kvasir
