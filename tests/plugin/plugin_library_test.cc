// Plugins from shared objects: the example is loaded, configured and routes; others are refused by
// name.
#include "scheduling/plugin_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>

#include "base/whole_file.h"
#include "config/policy_fixture.h"
#include "fleet/fleet.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "plugins/plugin_roster.h"
#include "scheduling/decision_trace.h"
#include "scheduling/policy.h"
#include "serving/pool.h"

namespace kvasir {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr const char* kConfig =
    "apiVersion: llm-d.ai/v1alpha1\n"
    "kind: EndpointPickerConfig\n"
    "plugins:\n"
    "- {type: zone-preference-scorer, parameters: {zone: north}}\n"
    "- {type: queue-scorer}\n";

PluginOptions with_plugins(std::vector<std::string> files) {
  PluginOptions options;
  options.endpoints = 3;
  options.plugin_files = std::move(files);
  return options;
}

std::string read_example(const std::string& name) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return read_whole_file(std::string(root != nullptr ? root : ".") + "/examples/plugin/" + name,
                         100'000)
      .value();
}

TEST(PluginLibrary, TheExampleRoutesBesideBuiltInPlugins) {
  const Result<PolicyWithNotes> made =
      policy_from_config(kConfig, "zone.yaml", with_plugins({ZONE_PREFERENCE}));
  ASSERT_TRUE(made) << made.error().message;
  Snapshot fleet{std::vector<EndpointState>(3)};
  std::vector<EndpointId> candidates;
  for (uint32_t i = 0; i < 3; ++i) candidates.push_back(EndpointId(i));
  const auto in_zone = [](const char* zone) {
    Endpoint endpoint;
    endpoint.labels["topology.kubernetes.io/zone"] = zone;
    return std::make_shared<const Endpoint>(std::move(endpoint));
  };
  fleet.endpoints[1].endpoint = in_zone("north");
  fleet.endpoints[2].endpoint = in_zone("south");
  Request request;
  request.id = 1;
  const auto decision = made->policy->pick(PickContext{request, fleet, candidates, {}});
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->endpoint, EndpointId(1));
  EXPECT_EQ(decision->score, 2);
}

constexpr const char* kHead = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";

TEST(PluginLibrary, AProducerOfANewKindIsReadByAScorerThatKnowsIt) {
  for (const char* plugins :
       {"plugins: [{type: urgency-scorer}]\n",
        "plugins: [{type: urgency-scorer}, {name: mine, type: urgency-producer}]\n",
        "plugins: [{type: urgency-scorer, parameters: {urgencyProducerName: mine}},\n"
        "  {name: mine, type: urgency-producer}, {name: other, type: urgency-producer}]\n"}) {
    const auto made = policy_from_config(std::string(kHead) + plugins, "urgency.yaml",
                                         with_plugins({URGENCY, ZONE_PREFERENCE}));
    ASSERT_TRUE(made) << made.error().message;
    Snapshot fleet{std::vector<EndpointState>(3)};
    std::vector<EndpointId> candidates;
    for (uint32_t i = 0; i < 3; ++i) {
      candidates.push_back(EndpointId(i));
      fleet.endpoints[i].metrics.waiting = i == 2 ? 1 : 3;
    }
    const RequestHeader urgent{"x-urgent", "true"};
    Request request;
    request.id = 1;
    request.headers = std::span(&urgent, 1);
    const auto decision = made->policy->pick(PickContext{request, fleet, candidates, {}});
    ASSERT_TRUE(decision);
    EXPECT_EQ(decision->endpoint, EndpointId(2));
    EXPECT_EQ(decision->score, 0.5);
    request.id = 2;
    request.headers = {};
    EXPECT_EQ(made->policy->pick(PickContext{request, fleet, candidates, {}})->score, 0);
  }
}

TEST(PluginLibrary, WhoAsksForANewKindInVainIsToldWhatThereIs) {
  const struct {
    const char* plugins;
    const char* problem;
  } cases[] = {
      {"plugins: [{type: urgency-scorer, parameters: {urgencyProducerName: queue-scorer}},\n"
       "  {type: queue-scorer}, {name: mine, type: urgency-producer}]\n",
       "urgency-scorer: plugin 'queue-scorer' does not offer urgency; what offers urgency is: "
       "'mine'"},
      {"plugins: [{type: urgency-scorer, parameters: {urgencyProducerName: nobody}},\n"
       "  {type: queue-scorer}]\n",
       "urgency-scorer: no plugin is named 'nobody'; none that is configured offers urgency, there "
       "are: 'queue-scorer'"},
  };
  for (const auto& one : cases) {
    const auto made = policy_from_config(std::string(kHead) + one.plugins, "urgency.yaml",
                                         with_plugins({URGENCY}));
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr(one.problem));
  }
}

// A filter, and a profile handler that runs one of two profiles.
TEST(PluginLibrary, AFilterAndAProfileHandlerDecideToo) {
  const Result<PolicyWithNotes> made =
      policy_from_config(read_example("tenants.yaml"), "tenants.yaml", with_plugins({TENANTS}));
  ASSERT_TRUE(made) << made.error().message;
  Snapshot fleet{std::vector<EndpointState>(3)};
  std::vector<EndpointId> candidates;
  for (uint32_t i = 0; i < 3; ++i) {
    Endpoint endpoint;
    endpoint.labels["tenant"] = i == 0 ? "red" : "blue";
    fleet.endpoints[i].endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
    fleet.endpoints[i].metrics.waiting = i;
    candidates.push_back(EndpointId(i));
  }
  DecisionTrace trace;
  const auto profile = [&] { return trace.labels()->profiles[trace.entries().back().profile]; };
  const auto pick = [&](RequestId id, std::string_view tenant, uint32_t tokens) {
    const std::vector<RequestHeader> headers = {{"x-tenant", tenant}};
    Request request;
    request.id = id;
    request.headers = headers;
    request.prompt_tokens = tokens;
    trace.begin(3);
    const auto decision = made->policy->pick(PickContext{request, fleet, candidates, {}, &trace});
    return decision ? std::optional(index_of(decision->endpoint)) : std::nullopt;
  };
  EXPECT_EQ(pick(1, "red", 10), 0u);
  EXPECT_EQ(pick(2, "blue", 1999), 1u) << "the shorter queue of the two";
  EXPECT_EQ(profile(), "short");
  EXPECT_EQ(pick(3, "blue", 2000), 1u);
  EXPECT_EQ(profile(), "long");
  EXPECT_EQ(pick(4, "green", 10), std::nullopt);
}

TEST(PluginLibrary, ItsParametersAreReadStrictly) {
  std::string config = kConfig;
  config.replace(config.find("zone: north"), 11, "zoen: north");
  const auto made = policy_from_config(config, "zone.yaml", with_plugins({ZONE_PREFERENCE}));
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("line 4: zone-preference-scorer: zone is missing"));
}

TEST(PluginLibrary, WithoutTheLibraryTheTypeDoesNotExist) {
  const auto made = policy_from_config(kConfig, "zone.yaml", with_plugins({}));
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message,
              HasSubstr("zone.yaml:4: plugins: type 'zone-preference-scorer' does not exist"));
}

TEST(PluginLibrary, WhatCannotBeUsedIsRefusedByName) {
  const struct {
    const char* file;
    const char* problem;
  } cases[] = {
      {"/nowhere/at_all.so",
       "/nowhere/at_all.so: cannot open shared object file: No such file or directory"},
      {"at_all.so", "at_all.so: cannot open shared object file: No such file or directory"},
      {NO_PLUGIN, ": is no plugin library: it lacks KVASIR_PLUGIN_LIBRARY(...)"},
      {OTHER_VERSION,
       ": was built for version 4711 of the plugin interface, this program has 8: build it against "
       "this program's headers"},
      {OTHER_HEADERS,
       ": was built for other headers of version 8 of the plugin interface: build it "
       "against this program's headers"},
      {TAKEN_NAME, ": type 'queue-scorer' exists already"},
  };
  for (const auto& one : cases) {
    const Result<Registry> registry = plugin_registry({one.file});
    ASSERT_FALSE(registry) << one.file;
    EXPECT_THAT(registry.error().message, HasSubstr(std::string("--plugin ") + one.file));
    EXPECT_THAT(registry.error().message, EndsWith(one.problem));
  }
}

TEST(PluginLibrary, ALibraryThatIsLoadedTwiceIsTold) {
  const Result<Registry> registry = plugin_registry({ZONE_PREFERENCE, ZONE_PREFERENCE});
  ASSERT_FALSE(registry);
  EXPECT_THAT(registry.error().message, EndsWith("type 'zone-preference-scorer' exists already"));
}

// Says how warm it is.
class WarmWorker final : public HttpHandler {
 public:
  explicit WarmWorker(EventLoop& loop)
      : server_(loop, listen_tcp("127.0.0.1", 0, false).value(), *this) {}

  Endpoint endpoint(const std::string& name) const {
    return {name, "127.0.0.1", server_.port(), {}};
  }
  void on_request(HttpExchange& exchange) override {
    if (exchange.head().path() != "/stats") return exchange.respond(404, "", "");
    exchange.respond(200, "Content-Type: application/json\r\n", page);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  std::string page;

 private:
  HttpServer server_;
};

class QuietProbe final : public PoolProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_scrape_failed(const Endpoint&, std::string_view source_type, bool, std::string_view why,
                        bool) override {
    if (source_type == "json-page-source") failure = why;
  }
  std::string failure;
};

class PluginMetrics : public testing::Test {
 protected:
  PluginMetrics() {
    options_.plugins.plugin_files = {JSON_NUMBER};
    options_.plugins.allow_alpha = true;
    options_.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.feeds.check_health = false;
    options_.feeds.endpoints = {a_.endpoint("a"), b_.endpoint("b")};
    options_.config = read_example("temperature.yaml");
    options_.config_name = "temperature.yaml";
  }

  // Empty: nobody.
  std::string pick(Pool& pool) {
    Request request;
    request.id = ++id_;
    const Scheduled scheduled = pool.scheduler().schedule(request, {});
    if (!scheduled.ok()) return "";
    pool.scheduler().ended(request.id);
    return pool.snapshot()->endpoints[index_of(scheduled.decision.endpoint)].endpoint->name;
  }
  void run_until(const std::function<bool()>& holds) {
    while (!holds()) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  WarmWorker a_{*loop_}, b_{*loop_};
  QuietProbe probe_;
  PoolOptions options_;
  RequestId id_ = 0;
};

TEST_F(PluginMetrics, ReachAScorer) {
  a_.page = R"({"gpu": {"temperature": 70}})";
  b_.page = R"({"gpu": {"temperature": 50}})";
  const Result<std::unique_ptr<Pool>> opened = Pool::open(*loop_, options_, probe_);
  ASSERT_TRUE(opened) << opened.error().message;
  Pool& pool = **opened;
  ASSERT_TRUE(pool.feed(*loop_));
  const auto temperature = [&](size_t slot) {
    const auto& known = pool.snapshot()->endpoints[slot].metrics.details().attributes;
    const auto found = known.find("temperature");
    return found == known.end() ? 0 : found->second;
  };
  run_until([&] { return temperature(0) == 70 && temperature(1) == 50; });
  EXPECT_EQ(pick(pool), "b");
  b_.page = R"({"gpu": {"temperature": 90}})";
  run_until([&] { return temperature(1) == 90; });
  EXPECT_EQ(pick(pool), "a");
  a_.page = "no JSON";
  run_until([&] { return !probe_.failure.empty(); });
  EXPECT_EQ(probe_.failure, "json-number-extractor: the page is not JSON");
  EXPECT_EQ(temperature(0), 70) << "until its ttl";
}

TEST_F(PluginMetrics, AreConfiguredStrictly) {
  const auto problem_with = [&](const std::string& from, const std::string& to) {
    std::string text = options_.config;
    text.replace(text.find(from), from.size(), to);
    const auto made = policy_from_config(text, "t.yaml", options_.plugins);
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_EQ(problem_with("ttl", "ttl"), "none");
  EXPECT_THAT(problem_with("ttl", "tll"),
              HasSubstr("t.yaml:6: json-page-source: unknown parameter"));
  EXPECT_THAT(problem_with("pointer: /gpu/temperature, ", ""),
              HasSubstr("t.yaml:7: json-number-extractor: pointer is missing"));
  EXPECT_THAT(problem_with("/gpu/temperature", "gpu"),
              HasSubstr("t.yaml:7: json-number-extractor: pointer must be a JSON pointer"));
  EXPECT_THAT(problem_with("    extractors: [{pluginRef: json-number-extractor}]\n", ""),
              HasSubstr("extractors are missing"));
  options_.plugins.plugin_files.clear();
  EXPECT_THAT(problem_with("ttl", "ttl"), HasSubstr("'json-page-source' does not exist"));
}

struct Answer {
  int exit_code = -1;
  std::string text;
};

Answer run_kvasir(const std::string& arguments) {
  const char* binary = std::getenv("KVASIR_BINARY");
  const std::string command =
      std::string(binary != nullptr ? binary : "kvasir") + " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Answer answer;
  std::array<char, 4096> buffer{};
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe))
    answer.text.append(buffer.data(), size);
  const int status = pclose(pipe);
  answer.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

// The symbols that the library calls are exported by the program itself.
TEST(PluginLibrary, TheProgramTakesThePlugin) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  const std::string file = std::string(root != nullptr ? root : ".") + "/examples/plugin/zone.yaml";
  const Answer good =
      run_kvasir(std::string("config check --plugin ") + ZONE_PREFERENCE + " " + file);
  EXPECT_EQ(good.exit_code, 0) << good.text;
  EXPECT_THAT(good.text, HasSubstr("scorer  weight 2  zone-preference-scorer {zone: north}"));
  const Answer without = run_kvasir("config check " + file);
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.text, HasSubstr("type 'zone-preference-scorer' does not exist"));
  const Answer other =
      run_kvasir(std::string("config check --plugin ") + OTHER_VERSION + " " + file);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.text, HasSubstr("was built for version 4711"));
}

TEST(PluginLibrary, TheGatewayTakesItBesideAConfiguration) {
  const std::string gateway = "gateway --port 0 --worker-urls http://127.0.0.1:1 --plugin ";
  const Answer alone = run_kvasir(gateway + ZONE_PREFERENCE);
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.text, HasSubstr("--plugin: only a configuration can name its types"));
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  const std::string file = std::string(root != nullptr ? root : ".") + "/examples/plugin/zone.yaml";
  const Answer several =
      run_kvasir(gateway + ZONE_PREFERENCE + " --plugin " + TAKEN_NAME + " --config " + file);
  EXPECT_EQ(several.exit_code, 2);
  EXPECT_THAT(several.text, HasSubstr("type 'queue-scorer' exists already"));
}

}  // namespace
}  // namespace kvasir
