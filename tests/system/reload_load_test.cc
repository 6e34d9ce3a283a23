// Gateway and picker under a steady load while their configuration changes again and again: no
// request notices, nothing stays booked, and memory, descriptors and threads stay what they were.
//
// KVASIR_RELOADS: how many changes (`make test-reload`); a few without it.
#include "reload_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

constexpr double kRequestsPerSecond = 200;
constexpr int kReloadsBriefly = 7;
constexpr Duration kPatience = std::chrono::seconds(60);
// What a process may have grown by since each configuration was used once. The caches of twenty
// conversations and the pages that the heap keeps fit in it; a leak of one configuration's plugins
// or of one request's bodies a reload does not.
constexpr size_t kGrowthMostKib = 4 * 1024;
// A sanitizer keeps what was freed, for a while, to notice whoever uses it still: the memory of a
// process says nothing then, and its leaks are told when it ends.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryTells = false;
#else
constexpr bool kMemoryTells = true;
#endif

constexpr const char* kConfigurations[] = {
    R"(plugins:
- type: prefix-cache-scorer
- type: queue-scorer
)",
    R"(featureGates: [flowControl]
plugins:
- type: active-request-scorer
- type: inflight-load-producer
- type: token-load-scorer
- type: concurrency-detector
  parameters: {maxConcurrency: 200}
saturationDetector: {pluginRef: concurrency-detector}
)",
    R"(plugins:
- type: predicted-cost-picker
)",
    R"(plugins:
- type: inflight-load-producer
- type: token-load-scorer
- type: no-hit-lru-scorer
)",
    R"(plugins:
- type: session-affinity-scorer
- type: kv-cache-utilization-scorer
- type: active-request-scorer
- type: prefix-cache-scorer
)"};

constexpr size_t kCounting = 1;  // of these: its counts are 0 when nothing is booked

// What /proc says of a process.
struct Footprint {
  size_t memory_kib = 0;
  size_t descriptors = 0;
  size_t threads = 0;
};

Footprint footprint(pid_t pid) {
  const fs::path root = "/proc/" + std::to_string(pid);
  Footprint found;
  std::ifstream status(root / "status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "VmRSS:") words >> found.memory_kib;
    if (key == "Threads:") words >> found.threads;
  }
  for (const auto& unused : fs::directory_iterator(root / "fd")) {
    static_cast<void>(unused);
    ++found.descriptors;
  }
  return found;
}

class ReloadUnderLoad : public ::testing::Test {
 protected:
  ReloadUnderLoad() {
    std::string name = (fs::temp_directory_path() / "reload-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    write_config(0);
    std::string urls, endpoints;
    for (const uint16_t port : workers_.ports()) {
      const std::string comma = urls.empty() ? "" : ",";
      const std::string address = "127.0.0.1:" + std::to_string(port);
      urls += comma + "http://" + address;
      endpoints += comma + address;
    }
    const std::string config = (directory_ / "config.yaml").string();
    gateway_ = std::make_unique<Program>(
        std::vector<std::string>{"gateway", "--port", "0", "--threads", "2", "--config", config,
                                 "--allow-experimental-plugins", "--worker-urls", urls});
    picker_ = std::make_unique<Program>(std::vector<std::string>{
        "epp", "--host", "127.0.0.1", "--grpc-port", "0", "--grpc-health-port", "0",
        "--metrics-port", "0", "--threads", "2", "--secure-serving=false", "--config-file", config,
        "--allow-experimental-plugins", "--endpoints", endpoints});
  }
  ~ReloadUnderLoad() override { fs::remove_all(directory_); }

  void write_config(size_t which) {
    std::ofstream(directory_ / "new")
        << "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
        << kConfigurations[which % std::size(kConfigurations)];
    fs::rename(directory_ / "new", directory_ / "config.yaml");
  }

  bool wait_until(const std::function<bool()>& holds) {
    const TimePoint deadline = SteadyClock().now() + kPatience;
    while (!holds()) {
      if (SteadyClock().now() >= deadline) return false;
      loop_->after(std::chrono::milliseconds(20), [this] { loop_->stop(); });
      loop_->run();
    }
    return true;
  }
  static size_t says(const Program& program, const std::string& text) {
    const std::string log = program.output();
    size_t count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }
  // The number behind that text in the log.
  static uint16_t port_behind(const Program& program, const std::string& text) {
    const std::string log = program.output();
    const size_t at = log.find(text);
    return at == std::string::npos
               ? 0
               : static_cast<uint16_t>(std::atoi(log.c_str() + at + text.size()));
  }
  bool start() {
    const auto ready = [this](const Program& program, const std::string& text) {
      return says(program, text) > 0 && says(program, " is healthy") >= workers_.ports().size();
    };
    return wait_until(
        [&] { return ready(*gateway_, "serving on") && ready(*picker_, "metrics on"); });
  }
  // The `number`th change.
  bool reload(size_t number, size_t which) {
    write_config(which);
    const std::string used = "the changed configuration is in use";
    return wait_until(
        [&] { return says(*gateway_, used) >= number && says(*picker_, used) >= number; });
  }

  // Each series of the page with one of those names, and its value.
  static std::map<std::string, double> series(uint16_t port,
                                              const std::vector<std::string>& names) {
    std::istringstream page(
        ask(port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    std::map<std::string, double> found;
    for (std::string line; std::getline(page, line);) {
      const size_t end = line.rfind(' ');
      for (const std::string& name : names) {
        if (end != std::string::npos && line.starts_with(name) &&
            (line[name.size()] == '{' || line[name.size()] == ' ')) {
          found[line.substr(0, end)] = std::atof(line.c_str() + end);
        }
      }
    }
    return found;
  }
  static void expect_zero(uint16_t port, const std::vector<std::string>& names) {
    const std::map<std::string, double> found = series(port, names);
    EXPECT_FALSE(found.empty());
    for (const auto& [name, value] : found) EXPECT_EQ(value, 0) << name;
  }
  static void expect_no_leak(const Footprint& before, const Footprint& after) {
    if (kMemoryTells) {
      EXPECT_LT(after.memory_kib, before.memory_kib + kGrowthMostKib);
    }
    EXPECT_EQ(after.threads, before.threads);
  }
  // Those of connections live as long as a connection may stand idle: none may when nobody is at
  // their other ends.
  void expect_no_descriptor_left(const Program& program, size_t before) {
    EXPECT_TRUE(wait_until([&] { return footprint(program.pid()).descriptors <= before; }))
        << footprint(program.pid()).descriptors << ", " << before << " before the load";
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  StreamingWorkers workers_{*loop_, 3};
  fs::path directory_;
  std::unique_ptr<Program> gateway_, picker_;
};

TEST_F(ReloadUnderLoad, NoRequestNoticesAndNothingStaysBehind) {
  const char* wanted = std::getenv("KVASIR_RELOADS");
  const size_t reloads = wanted != nullptr ? std::stoul(wanted) : kReloadsBriefly;
  ASSERT_GT(reloads, std::size(kConfigurations));
  ASSERT_TRUE(start()) << gateway_->output() << picker_->output();
  const uint16_t gateway_port = port_behind(*gateway_, "serving on http://127.0.0.1:");
  const uint16_t metrics_port = port_behind(*picker_, "metrics on ");
  const size_t gateway_descriptors = footprint(gateway_->pid()).descriptors;
  const size_t picker_descriptors = footprint(picker_->pid()).descriptors;
  std::optional<SteadyLoad> running;
  SteadyLoad& load = running.emplace(
      *loop_, gateway_port, port_behind(*picker_, "picking on 127.0.0.1:"), kRequestsPerSecond);
  const TimePoint began = SteadyClock().now();
  load.start();
  Footprint gateway_before, picker_before;
  bool saw_bookings = false;
  for (size_t i = 1; i <= reloads; ++i) {
    ASSERT_TRUE(reload(i, i)) << gateway_->output() << picker_->output();
    if (i % std::size(kConfigurations) == kCounting) {
      saw_bookings |= !series(metrics_port, {"llm_d_epp_inflight_tokens"}).empty();
    }
    if (i != std::size(kConfigurations)) continue;
    gateway_before = footprint(gateway_->pid());
    picker_before = footprint(picker_->pid());
  }
  expect_no_leak(gateway_before, footprint(gateway_->pid()));
  expect_no_leak(picker_before, footprint(picker_->pid()));
  load.stop();
  EXPECT_TRUE(wait_until([&] {
    return load.gateway().over() == load.gateway().sent &&
           load.picker().over() == load.picker().sent;
  }));
  for (const LoadCounts* counts : {&load.gateway(), &load.picker()}) {
    EXPECT_THAT(counts->bad, IsEmpty());
    EXPECT_EQ(counts->good, counts->sent);
  }
  EXPECT_EQ(workers_.clients_gone(), 0u);
  std::cout << reloads << " reloads in " << to_seconds(SteadyClock().now() - began) << " s; "
            << load.gateway().good << " requests through the gateway, " << load.picker().good
            << " through the picker; KiB of memory before and after: gateway "
            << gateway_before.memory_kib << ", " << footprint(gateway_->pid()).memory_kib
            << "; picker " << picker_before.memory_kib << ", "
            << footprint(picker_->pid()).memory_kib << "\n";

  expect_zero(gateway_port, {"kvasir_gateway_requests_in_flight", "kvasir_gateway_held_requests",
                             "kvasir_gateway_upstream_requests_in_flight"});
  expect_zero(metrics_port, {"llm_d_epp_inflight_requests"});
  // A detector and a producer that count what is booked, and took over what was.
  if (reloads % std::size(kConfigurations) != kCounting) {
    ASSERT_TRUE(reload(reloads + 1, kCounting));
  }
  expect_zero(gateway_port, {"kvasir_gateway_pool_saturation"});
  expect_zero(metrics_port, {"llm_d_epp_flow_control_pool_saturation"});
  // An endpoint with something in flight has a series of its own.
  EXPECT_TRUE(saw_bookings);
  EXPECT_THAT(series(metrics_port, {"llm_d_epp_inflight_tokens"}), IsEmpty());
  const auto codes = series(gateway_port, {"kvasir_gateway_requests_total"});
  ASSERT_EQ(codes.size(), 1u);
  EXPECT_NE(codes.begin()->first.find("code=\"200\""), std::string::npos);
  running.reset();
  workers_.close();
  expect_no_descriptor_left(*gateway_, gateway_descriptors);
  expect_no_descriptor_left(*picker_, picker_descriptors);
}

}  // namespace
}  // namespace kvasir
