// `kvasir up -f examples/pd`: two workers prefill, two decode, and the answers are those of workers
// that do both. A token is a function of the bytes of its prompt's blocks, so that equality says
// that the right bytes arrived.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "leased_port.h"
#include "mixed_requests.h"
#include "program.h"
#include "running_up.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRequests = 150;
// Prefills take a twentieth of their time.
constexpr const char* kTimeScale = "20";

size_t request_count() {
  const char* count = std::getenv("KVASIR_PD_REQUESTS");
  return count != nullptr ? std::strtoul(count, nullptr, 10) : kRequests;
}

fs::path examples() {
  return fs::path(std::getenv("KVASIR_SOURCE_DIR")) / "examples";
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr const char* kRedis = "/usr/bin/redis-server";

// A Redis of a test's own, until the object goes.
class RunningRedis {
 public:
  RunningRedis() : port_(leased_port()), loop_(std::move(EventLoop::create().value())) {
    Process::Command command;
    command.binary = kRedis;
    command.arguments = {"--port", std::to_string(port_), "--save", "", "--bind", "127.0.0.1"};
    command.log_file = "/dev/null";
    process_ = std::move(Process::start(*loop_, command, [](const std::string&) {}).value());
    for (int i = 0; i < 500 && ask(port_, "PING\r\nQUIT\r\n").empty(); ++i) usleep(10'000);
  }
  uint16_t port() const { return port_; }

 private:
  const uint16_t port_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Process> process_;
};

struct Variant {
  std::string name;
  std::string file;          // of examples/pd
  std::string without = {};  // replaced in it
  std::string with = {};
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class PdFleet : public ::testing::TestWithParam<Variant> {
 protected:
  PdFleet() {
    std::string name = (fs::temp_directory_path() / "pd-fleet-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    for (const auto& file : fs::directory_iterator(examples() / "pd")) {
      fs::copy_file(file.path(), folder_ / file.path().filename());
    }
  }
  ~PdFleet() override { fs::remove_all(folder_); }

  // As the example is, but for what the variant replaces.
  std::string fleet_file() {
    Variant variant = GetParam();
    if (variant.file == "fleet-lmcache.yaml") {
      redis_ = std::make_unique<RunningRedis>();
      variant.without = ":6379\"";
      variant.with = ":" + std::to_string(redis_->port()) + "\"";
    }
    std::string text = text_of(folder_ / variant.file);
    if (!variant.without.empty()) {
      const size_t at = text.find(variant.without);
      EXPECT_NE(at, std::string::npos);
      text.replace(at, variant.without.size(), variant.with);
      std::ofstream(folder_ / "variant.yaml") << text;
      return (folder_ / "variant.yaml").string();
    }
    return (folder_ / variant.file).string();
  }

  // Of two workers that do both. The first test asks for them.
  static const std::vector<std::string>& expected(const std::vector<MixedRequest>& requests) {
    static const std::vector<std::string> gists = [&requests] {
      const fs::path file =
          fs::temp_directory_path() / ("aggregated-" + std::to_string(getpid()) + ".yaml");
      std::ofstream(file) << "workers: {worker: {count: 2, flags: {kv-bytes: 1024}}}\n";
      RunningUp up({"-f", file.string(), "--port", "0", "--time-scale", kTimeScale});
      const bool ready = up.wait_until_ready();
      fs::remove(file);
      return ready ? ask_all(up.endpoint().port, requests) : std::vector<std::string>{up.output()};
    }();
    return gists;
  }

  static double sum_over(const RunningUp& up, const std::string& metric) {
    return metric_of(up.port_of("decode-0"), metric) + metric_of(up.port_of("decode-1"), metric);
  }

  fs::path folder_;
  std::unique_ptr<RunningRedis> redis_;
};

TEST_P(PdFleet, AnswersAsWorkersDoThatPrefillAndDecode) {
  if (GetParam().file == "fleet-lmcache.yaml" && !fs::exists(kRedis)) GTEST_SKIP() << "no Redis";
  const std::vector<MixedRequest> requests = mixed_requests(request_count());
  const std::vector<std::string>& wanted = expected(requests);
  ASSERT_EQ(wanted.size(), requests.size()) << wanted[0];
  RunningUp up({"-f", fleet_file(), "--port", "0", "--time-scale", kTimeScale});
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  const std::vector<std::string> answers = ask_all(up.endpoint().port, requests);
  size_t wrong = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (answers[i] == wanted[i] || ++wrong > 3) continue;
    ADD_FAILURE() << requests[i].path << " " << requests[i].body.substr(0, 300)
                  << "\n  was answered: " << answers[i] << "\n  instead of: " << wanted[i];
  }
  EXPECT_EQ(wrong, 0u) << "of " << requests.size();
  if (GetParam().name != "by_cost") {  // which may leave all where it is
    EXPECT_GT(sum_over(up, "vllm:external_prefix_cache_hits_total"), 25 * requests.size())
        << "tokens that came from elsewhere";
  }
  if (GetParam().file == "fleet.yaml") {
    EXPECT_GT(sum_over(up, "vllm:nixl_bytes_transferred_count"), requests.size() / 10);
    EXPECT_EQ(sum_over(up, "vllm:nixl_num_failed_transfers_total"), 0);
  }
}

constexpr const char* kExtra = "kv_connector: NixlConnector, kv_role: kv_both";

std::string nixl_with(const std::string& extra) {
  return std::string(kExtra) + ", kv_connector_extra_config: {" + extra + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Connectors, PdFleet,
    ::testing::Values(
        Variant{"nixl", "fleet.yaml"},
        Variant{"nixl_pipelined", "fleet.yaml", kExtra, nixl_with("pipelining: true")},
        Variant{"nixl_shared_memory", "fleet.yaml", kExtra, nixl_with("transport: shm")},
        Variant{"p2p", "fleet-p2p.yaml"},
        Variant{"p2p_pipelined", "fleet-p2p.yaml", "kv_role: kv_consumer",
                "kv_role: kv_consumer, kv_connector_extra_config: {pipelining: true}"},
        Variant{"fs_pipelined", "fleet-fs.yaml", "kv_cache\"", "kv_cache\", pipelining: true"},
        Variant{"lmcache", "fleet-lmcache.yaml"}, Variant{"by_cost", "fleet-by-cost.yaml"},
        Variant{"fs", "fleet-fs.yaml"},
        Variant{"fs_safe", "fleet-fs.yaml", "kv_cache\"", "kv_cache\", layout: kvasir"}),
    [](const auto& variant) { return variant.param.name; });

}  // namespace
}  // namespace kvasir
