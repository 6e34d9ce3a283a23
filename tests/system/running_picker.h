// `kvasir epp` as a process, asked over ext_proc as Envoy asks it, in front of workers that only say they are healthy.
#pragma once

#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/grpc/grpc_client.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "supervise/process.h"

namespace kvasir {

inline constexpr Duration kPatience = std::chrono::seconds(30);

std::string read_file(const std::filesystem::path& path);

// Healthy workers, each at an address of its own; every request gets the same short answer.
class HealthyWorkers final : public HttpHandler {
 public:
  // `port`: of all of them; 0: a free one for each.
  HealthyWorkers(EventLoop& loop, int count, uint16_t port = 0);
  void on_request(HttpExchange& exchange) override {
    const bool asked = exchange.head().method() == "POST";
    exchange.respond(200, "", asked ? "{\"choices\": []}" : "");
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  std::string list() const;  // of names, with commas

  std::vector<std::string> hosts;
  std::vector<std::string> names;

 private:
  std::vector<std::unique_ptr<HttpServer>> servers_;
};

class RunningPicker {
 public:
  // `arguments`: beside the ports and --secure-serving=false.
  RunningPicker(EventLoop& loop, uint16_t port, std::vector<std::string> arguments,
                std::filesystem::path log, const std::string& host = "127.0.0.1");
  ~RunningPicker();

  // How often its log holds the text.
  size_t says(const std::string& text) const;
  std::string log() const { return read_file(log_); }
  void kill() { process_->signal(SIGKILL); }
  void stop() { process_->signal(SIGTERM); }
  // As its log says it; 0: it does not yet.
  uint16_t metrics_port() const;

  // Where it sends a request, which stays in flight. With `status` the answer's headers come back with it.
  std::string pick(const std::vector<std::string>& subset = {}, const std::string& session = "",
                   int status = 0);
  // What is in flight ends, as when Envoy goes.
  void end_all();

 private:
  class Stream;

  EventLoop& loop_;
  const std::string host_;
  const uint16_t port_;
  const std::filesystem::path log_;
  std::unique_ptr<Process> process_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::unique_ptr<GrpcClient> client_;  // its calls tell the streams
};

bool wait_until(EventLoop& loop, const std::function<bool()>& holds);
void run_for(EventLoop& loop, Duration time);

}  // namespace kvasir
