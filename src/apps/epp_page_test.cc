// The whole page of the picker, held against the rules of the format.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "apps/epp_fixture.h"
#include "apps/epp_metrics.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

// Reads a page line by line and complains of what Prometheus, or its linter, would.
class PageReader {
 public:
  void read(const std::string& page) {
    std::istringstream lines(page);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# TYPE")) {
        on_type(line);
      } else if (line.starts_with("# HELP")) {
        EXPECT_GT(line.size(), sizeof "# HELP " + line.substr(7).find(' ')) << line;
      } else {
        on_sample(line);
      }
    }
  }
  const std::map<std::string, std::string>& types() const { return types_; }

 private:
  struct Buckets {
    double count = 0;
    double bound = -1;
  };

  void on_type(const std::string& line) {
    std::istringstream words(line);
    std::string hash, keyword, type;
    words >> hash >> keyword >> family_ >> type;
    EXPECT_TRUE(types_.emplace(family_, type).second) << "twice: " << family_;
    EXPECT_EQ(type == "counter", family_.ends_with("_total")) << family_;
  }

  void on_sample(const std::string& line) {
    const std::optional<MetricSample> sample = parse_metric_line(line);
    ASSERT_TRUE(sample) << line;
    EXPECT_TRUE(series_.insert(line.substr(0, line.rfind(' '))).second) << "twice: " << line;
    ASSERT_TRUE(sample->name.starts_with(family_)) << line;
    const std::string_view suffix = sample->name.substr(family_.size());
    const std::string& type = types_[family_];
    if (type == "histogram") return on_histogram(*sample, suffix, line);
    const bool is_sum = type == "summary" && (suffix == "_sum" || suffix == "_count");
    EXPECT_TRUE(suffix.empty() || is_sum) << line;
    EXPECT_EQ(type == "summary" && suffix.empty(), sample->label("quantile").has_value()) << line;
  }

  void on_histogram(const MetricSample& sample, std::string_view suffix, const std::string& line) {
    std::string key = family_;
    for (const auto& [name, value] : sample.labels) {
      if (name != "le") key.append(name).append("=").append(value).append(";");
    }
    Buckets& buckets = buckets_[key];
    if (suffix == "_bucket") {
      const double bound = std::stod(std::string(*sample.label("le")));
      EXPECT_GT(bound, buckets.bound) << line;
      EXPECT_GE(sample.value, buckets.count) << line;
      buckets = {sample.value, bound};
    } else if (suffix == "_count") {
      EXPECT_EQ(sample.value, buckets.count) << line;
      EXPECT_EQ(buckets.bound, INFINITY) << line;
    } else {
      EXPECT_EQ(suffix, "_sum") << line;
    }
  }

  std::string family_;
  std::map<std::string, std::string> types_;
  std::map<std::string, Buckets> buckets_;
  std::set<std::string> series_;
};

// A page on which everything has happened.
std::string busy_page() {
  static const ManualClock clock;
  EppFixture fixture;
  auto plugins = std::make_shared<PolicyLabels>(*fixture.labels);
  plugins->plugins.push_back({"pd", "disagg-profile-handler"});
  plugins->plugins[2].type = "session-affinity-scorer";
  fixture.labels = plugins;
  fixture.fill();
  for (EndpointState& state : fixture.fleet.endpoints) {
    state.metrics.waiting = state.metrics.running = state.metrics.kv_usage = 0.5;
    state.metrics.read_at = clock.now() + std::chrono::nanoseconds(1);
  }
  EppMetrics metrics({"pool-a", std::chrono::seconds(2), true, "1.2.3"}, clock);
  const Endpoint& some = *fixture.fleet.endpoints[0].endpoint;
  metrics.on_scrape_failed(some, "metrics-data-source", false, "gone", false);
  metrics.on_scrape_failed(some, "metrics-data-source", true, "nothing", false);
  metrics.on_discovery_failed("endpoints.yaml", "broken");
  metrics.on_filter_left_nobody("by-label", false, "");
  metrics.on_stream_started();
  metrics.on_stream_ended(GrpcCode::kOk, std::chrono::milliseconds(20));
  for (const uint32_t endpoint : {0, 1}) {
    for (const double ms : {0.01, 0.1, 3.0, 700.0, 1e7}) {
      fixture.decision.endpoint = EndpointId{endpoint};
      PickReport pick = fixture.pick();
      pick.scheduling = from_seconds(ms / 1000);
      metrics.on_picked(pick);
      EndReport end = fixture.end();
      end.total = from_seconds(ms);
      end.status = 500;
      metrics.on_ended(end);
      metrics.on_answer_processed(pick.scheduling);
    }
  }
  metrics.on_refused(fixture.refusal());
  metrics.on_configuration_read("");
  metrics.on_page_problem(Endpoint{}, PageProblem::kMissing, "a metric");
  metrics.on_service_lost("a service");
  metrics.on_model_rewritten("canary", "base", "base-v2");
  metrics.on_replica_refused(ReplicaRefusal::kUnproven);
  Request request;
  metrics.on_outcome(request, 0, FlowOutcome::kDispatched, std::chrono::milliseconds(3));
  metrics.on_cycle(std::chrono::microseconds(3));
  FlowStats stats;
  stats.requests_most = stats.bytes_most = 10;
  stats.bands.push_back({0, 1, 100, 10, 1000, {{"a", 1, 100}}});
  stats.tenants = {{"a", 12, 3, std::chrono::milliseconds(5)}, {"b", 1, 1, {}}};
  const std::vector<PluginReading> readings = {
      {"prefix_indexer_size", 7, std::nullopt, "prefix", "approx-prefix-cache-producer"},
      {"inflight_tokens", 512, EndpointId(0), "load", "inflight-load-producer"}};
  return metrics.page(fixture.fleet, &stats, readings);
}

TEST(EppPage, FollowsTheRulesOfTheFormat) {
  PageReader reader;
  reader.read(busy_page());
  EXPECT_GT(reader.types().size(), 90u);
}

// docs/METRICS.md names what is exported, and nothing that is not.
TEST(EppPage, IsWhatTheManualSays) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "ctest says where the sources are";
  std::ifstream file(std::string(root) + "/docs/METRICS.md");
  std::set<std::string> documented;
  bool of_the_picker = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) of_the_picker = line == "## Endpoint picker";
    if (line.starts_with("### Not exported")) of_the_picker = false;
    if (!of_the_picker || !line.starts_with("| `")) continue;
    // Names in the first column, between backticks; {a,b} stands for either.
    const std::string names = line.substr(0, line.find('|', 1));
    for (size_t begin = names.find('`'); begin != std::string::npos;) {
      const size_t end = names.find('`', begin + 1);
      const std::string name = names.substr(begin + 1, end - begin - 1);
      const size_t open = name.find('{');
      if (open == std::string::npos) documented.insert(name);
      for (size_t at = open; at != std::string::npos && name[at] != '}';) {
        const size_t next = name.find_first_of(",}", at + 1);
        documented.insert(name.substr(0, open) + name.substr(at + 1, next - at - 1) +
                          name.substr(name.find('}') + 1));
        at = next;
      }
      begin = names.find('`', end + 1);
    }
  }
  PageReader reader;
  reader.read(busy_page());
  std::set<std::string> exported;
  for (const auto& [name, type] : reader.types()) exported.insert(name);
  for (const std::string& name : exported) EXPECT_EQ(documented.count(name), 1u) << name;
  // The decision log's own are there when there is one.
  for (const std::string& name : documented) {
    if (name.starts_with("kvasir_epp_decision_log_")) continue;
    EXPECT_EQ(exported.count(name), 1u) << name;
  }
}

}  // namespace
}  // namespace kvasir
