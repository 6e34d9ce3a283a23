#include "running_picker.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/assert.h"
#include "wire/ext_proc/ext_proc_client.h"

namespace kvasir {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

HealthyWorkers::HealthyWorkers(EventLoop& loop, int count, uint16_t port) {
  for (int i = 1; i <= count; ++i) {
    hosts.push_back("127.0.3." + std::to_string(i));
    servers_.push_back(
        std::make_unique<HttpServer>(loop, listen_tcp(hosts.back(), port, false).value(), *this));
    names.push_back(hosts.back() + ":" + std::to_string(servers_.back()->port()));
  }
}

std::string HealthyWorkers::list() const {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

// One ext_proc stream, which stays open: what it booked stays in flight.
class RunningPicker::Stream final : public GrpcClientCall::Observer {
 public:
  explicit Stream(EventLoop& loop) : loop_(loop) {}

  void on_message(std::string_view message) override {
    const Result<ExtProcAnswer> answer = read_ext_proc_answer(message);
    if (!answer) return;
    using Kind = ExtProcAnswer::Kind;
    if (answer->kind == Kind::kRequestHeaders) {
      destination = answer->set_header("x-gateway-destination-endpoint").value_or("nobody");
    } else if (answer->kind == Kind::kImmediate) {
      destination = "refused with " + std::to_string(answer->status);
    } else if (answer->kind == Kind::kResponseHeaders) {
      answered = true;
    }
    loop_.stop();
  }
  void on_end(const GrpcStatus& status) override {
    if (destination.empty()) destination = "the call failed: " + status.message;
    answered = true;
    loop_.stop();
  }

  std::string destination;
  bool answered = false;

 private:
  EventLoop& loop_;
};

RunningPicker::RunningPicker(EventLoop& loop, uint16_t port, std::vector<std::string> arguments,
                             std::filesystem::path log, const std::string& host)
    : loop_(loop), host_(host), port_(port), log_(std::move(log)) {
  const char* binary = std::getenv("KVASIR_BINARY");
  KVASIR_ASSERT(binary != nullptr, "ctest sets KVASIR_BINARY");
  Process::Command command;
  command.binary = binary;
  command.arguments = {"epp",
                       "--host",
                       host_,
                       "--grpc-port",
                       std::to_string(port),
                       "--grpc-health-port",
                       "0",
                       "--metrics-port",
                       "0",
                       "--threads",
                       "2",
                       "--secure-serving=false"};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  command.log_file = log_;
  process_ = std::move(Process::start(loop, command, [](const std::string&) {}).value());
  client_ = std::make_unique<GrpcClient>(loop, resolve(host_, port).value(), "picker");
}

RunningPicker::~RunningPicker() = default;

size_t RunningPicker::says(const std::string& text) const {
  const std::string log = read_file(log_);
  size_t count = 0;
  for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
  return count;
}

uint16_t RunningPicker::metrics_port() const {
  const std::string text = log();
  const std::string before = ", metrics on ";
  const size_t at = text.find(before);
  if (at == std::string::npos) return 0;
  return static_cast<uint16_t>(std::atoi(text.c_str() + at + before.size()));
}

std::string RunningPicker::pick(const std::vector<std::string>& subset, const std::string& session,
                                int status) {
  Stream& stream = *streams_.emplace_back(std::make_unique<Stream>(loop_));
  GrpcClientCall& call = client_->start("/envoy.service.ext_proc.v3.ExternalProcessor/Process",
                                        stream, Duration::zero());
  std::vector<ExtProcHeader> headers = {{":method", "POST"}, {":path", "/v1/completions"}};
  if (!session.empty()) headers.push_back({"x-session-id", session});
  ExtProcContext context;
  if (!subset.empty()) context.subset.emplace(subset.begin(), subset.end());
  std::string message;
  write_headers_request(ExtProcSide::kRequest, headers, false, context, message);
  call.send(message);
  write_body_request(ExtProcSide::kRequest, R"({"model": "m", "prompt": "one two three"})", true, {},
                     message);
  call.send(message);
  const TimerId timer = loop_.after(kPatience, [this] { loop_.stop(); });
  while (stream.destination.empty() && process_->alive()) loop_.run();
  if (status != 0) {
    const std::string text = std::to_string(status);
    write_headers_request(ExtProcSide::kResponse, {{":status", text}}, true, {}, message);
    call.send(message);
    while (!stream.answered && process_->alive()) loop_.run();
  }
  loop_.cancel(timer);
  return stream.destination;
}

void RunningPicker::end_all() {
  client_ = nullptr;
  streams_.clear();
  client_ = std::make_unique<GrpcClient>(loop_, resolve(host_, port_).value(), "picker");
}

bool wait_until(EventLoop& loop, const std::function<bool()>& holds) {
  const TimePoint deadline = SteadyClock().now() + kPatience;
  while (!holds()) {
    if (SteadyClock().now() >= deadline) return false;
    run_for(loop, std::chrono::milliseconds(10));
  }
  return true;
}

void run_for(EventLoop& loop, Duration time) {
  loop.after(time, [&loop] { loop.stop(); });
  loop.run();
}

}  // namespace kvasir
