// Two real pickers beside each other, asked over ext_proc as Envoy asks them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "net/event_loop.h"
#include "net/grpc_client.h"
#include "net/http_server.h"
#include "supervise/process.h"
#include "wire/ext_proc_client.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;

constexpr Duration kPatience = std::chrono::seconds(30);
constexpr int kWorkers = 8;
constexpr int kStreams = 80;    // through the first picker, to half of the workers
constexpr int kRequests = 160;  // through the second, to all
constexpr int kSessions = 40;
constexpr double kTolerance = 0.05;
constexpr const char* kConfig = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: session-affinity-filter
  parameters: {strategy: session_id}
- type: inflight-load-producer
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: session-affinity-filter
  - pluginRef: active-request-scorer
  - pluginRef: max-score-picker
)";

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Healthy workers that nobody sends a request to.
class Workers final : public HttpHandler {
 public:
  explicit Workers(EventLoop& loop) {
    for (int i = 1; i <= kWorkers; ++i) {
      hosts.push_back("127.0.3." + std::to_string(i));
      servers_.push_back(
          std::make_unique<HttpServer>(loop, listen_tcp(hosts.back(), 0, false).value(), *this));
      names.push_back(hosts.back() + ":" + std::to_string(servers_.back()->port()));
    }
  }
  void on_request(HttpExchange& exchange) override { exchange.respond(200, "", ""); }
  Refusal on_refused(int, std::string_view) override { return {}; }

  std::string list() const {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
    return text;
  }

  std::vector<std::string> hosts;
  std::vector<std::string> names;

 private:
  std::vector<std::unique_ptr<HttpServer>> servers_;
};

// One ext_proc stream, which stays open: what it booked stays in flight.
class Stream final : public GrpcClientCall::Observer {
 public:
  explicit Stream(EventLoop& loop) : loop_(loop) {}

  void on_message(std::string_view message) override {
    const Result<ExtProcAnswer> answer = read_ext_proc_answer(message);
    if (!answer || answer->kind != ExtProcAnswer::Kind::kRequestHeaders) return;
    destination = answer->set_header("x-gateway-destination-endpoint").value_or("nobody");
    loop_.stop();
  }
  void on_end(const GrpcStatus& status) override {
    if (destination.empty()) destination = "the call failed: " + status.message;
    loop_.stop();
  }

  std::string destination;

 private:
  EventLoop& loop_;
};

uint16_t free_port() {
  return local_port(listen_tcp("127.0.0.1", 0, false).value());
}

class Picker {
 public:
  Picker(EventLoop& loop, const Workers& workers, uint16_t port, const std::string& peers,
         const fs::path& log)
      : loop_(loop), log_(log) {
    const char* binary = std::getenv("KVASIR_BINARY");
    KVASIR_ASSERT(binary != nullptr, "ctest sets KVASIR_BINARY");
    Process::Command command;
    command.binary = binary;
    command.arguments = {"epp",
                         "--endpoints",
                         workers.list(),
                         "--config-text",
                         kConfig,
                         "--allow-experimental-plugins",
                         "--host",
                         "127.0.0.1",
                         "--grpc-port",
                         std::to_string(port),
                         "--grpc-health-port",
                         "0",
                         "--metrics-port",
                         "0",
                         "--threads",
                         "2",
                         "--secure-serving=false"};
    if (!peers.empty()) {
      command.arguments.insert(command.arguments.end(), {"--peers", peers});
    }
    command.log_file = log_;
    process_ = std::move(Process::start(loop, command, [](const std::string&) {}).value());
    client_ = std::make_unique<GrpcClient>(loop, resolve("127.0.0.1", port).value(), "picker");
  }

  size_t says(const std::string& text) const {
    const std::string log = read_file(log_);
    size_t count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }
  void kill() { process_->signal(SIGKILL); }

  // Where it sends a request.
  std::string pick(const std::vector<std::string>& subset = {}, const std::string& session = "") {
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
    write_body_request(ExtProcSide::kRequest, R"({"model": "m", "prompt": "one two three"})", true,
                       {}, message);
    call.send(message);
    const TimerId timer = loop_.after(kPatience, [this] { loop_.stop(); });
    while (stream.destination.empty() && process_->alive()) loop_.run();
    loop_.cancel(timer);
    return stream.destination;
  }

 private:
  EventLoop& loop_;
  const fs::path log_;
  std::unique_ptr<Process> process_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::unique_ptr<GrpcClient> client_;  // its calls tell the streams
};

class ReplicasSystemTest : public ::testing::Test {
 protected:
  ReplicasSystemTest() {
    std::string name = (fs::temp_directory_path() / "replicas-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~ReplicasSystemTest() override {
    pickers_.clear();
    fs::remove_all(directory_);
  }

  void start(int count, bool sharing) {
    pickers_.clear();
    std::vector<uint16_t> ports;
    std::string peers;
    for (int i = 0; i < count; ++i) {
      ports.push_back(free_port());
      peers += (i > 0 ? "," : "") + std::string("127.0.0.1:") + std::to_string(ports[i]);
    }
    for (int i = 0; i < count; ++i) {
      pickers_.push_back(
          std::make_unique<Picker>(*loop_, workers_, ports[i], sharing ? peers : "",
                                   directory_ / ("picker-" + std::to_string(++started_))));
    }
    for (const auto& picker : pickers_) {
      ASSERT_TRUE(wait_until([&] { return picker->says(" is healthy") == kWorkers; }));
      if (sharing) {
        ASSERT_TRUE(wait_until([&] { return picker->says("sharing load and sessions") > 0; }));
      }
    }
  }
  bool wait_until(const std::function<bool()>& holds) {
    const TimePoint deadline = SteadyClock().now() + kPatience;
    while (!holds() && SteadyClock().now() < deadline) run_for(std::chrono::milliseconds(10));
    return holds();
  }
  void run_for(Duration time) {
    loop_->after(time, [this] { loop_->stop(); });
    loop_->run();
  }

  // In flight on each worker, when the last picker is asked one second after the first.
  std::vector<double> in_flight() {
    std::vector<double> counts(kWorkers);
    const auto count = [&](const std::string& name) {
      const auto at = std::find(workers_.names.begin(), workers_.names.end(), name);
      ASSERT_NE(at, workers_.names.end()) << name;
      ++counts[static_cast<size_t>(at - workers_.names.begin())];
    };
    const std::vector<std::string> half(workers_.hosts.begin(),
                                        workers_.hosts.begin() + kWorkers / 2);
    for (int i = 0; i < kStreams; ++i) count(pickers_.front()->pick(half));
    run_for(std::chrono::seconds(1));
    for (int i = 0; i < kRequests; ++i) count(pickers_.back()->pick());
    return counts;
  }
  double off_by(const std::vector<double>& counts, const std::vector<double>& reference) {
    double worst = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      worst = std::max(worst, std::abs(counts[i] - reference[i]) / reference[i]);
    }
    return worst;
  }
  // Of kSessions, bound by the first picker, those that the last one sends to the same worker.
  int sessions_honoured() {
    std::vector<std::string> bound;
    const auto name = [](int i) { return "session-" + std::to_string(i); };
    for (int i = 0; i < kSessions; ++i) bound.push_back(pickers_.front()->pick({}, name(i)));
    run_for(std::chrono::seconds(1));
    int honoured = 0;
    // In another order: else both would give the same turns to the same sessions.
    for (int i = kSessions - 1; i >= 0; --i) {
      honoured += pickers_.back()->pick({}, name(i)) == bound[static_cast<size_t>(i)];
    }
    return honoured;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  Workers workers_{*loop_};
  fs::path directory_;
  int started_ = 0;
  std::vector<std::unique_ptr<Picker>> pickers_;
};

TEST_F(ReplicasSystemTest, LoadBookedThroughOneCountsForTheOtherASecondLater) {
  start(1, false);
  const std::vector<double> reference = in_flight();
  start(2, true);
  const std::vector<double> shared = in_flight();
  EXPECT_LE(off_by(shared, reference), kTolerance) << ::testing::PrintToString(shared);
  start(2, false);
  const std::vector<double> alone = in_flight();
  EXPECT_GT(off_by(alone, reference), kTolerance) << "the measure shows nothing";
}

TEST_F(ReplicasSystemTest, ASessionBoundByOneIsHonouredByTheOther) {
  start(2, true);
  EXPECT_EQ(sessions_honoured(), kSessions);
  start(2, false);
  EXPECT_LT(sessions_honoured(), kSessions) << "the measure shows nothing";
}

TEST_F(ReplicasSystemTest, AKilledReplicasLoadIsForgotten) {
  start(2, true);
  const std::vector<std::string> one = {workers_.hosts[0]};
  for (int i = 0; i < 20; ++i) pickers_[0]->pick(one);
  run_for(std::chrono::seconds(1));
  for (int i = 0; i < kWorkers - 1; ++i) EXPECT_NE(pickers_[1]->pick(), workers_.names[0]);
  pickers_[0]->kill();
  ASSERT_TRUE(wait_until([&] { return pickers_[1]->says("fell silent") == 1; }));
  EXPECT_EQ(pickers_[1]->pick(), workers_.names[0]);
}

}  // namespace
}  // namespace kvasir
