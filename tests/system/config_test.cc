// What the programs make of a configuration file: one verdict of `kvasir config check`, `kvasir epp`
// and `kvasir gateway`, in the same words; and a tutorial's two ConfigMaps as they are printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "leased_port.h"
#include "net/http/http_client.h"
#include "running_picker.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kStarted = "started";

// How a program ended, or that it serves.
struct Verdict {
  std::string end;  // kStarted, or "exited with status 2"
  std::string log;
};

// Runs the program until it says that it serves, or ends.
Verdict run(EventLoop& loop, std::vector<std::string> arguments, const fs::path& log,
            const std::string& serves) {
  fs::remove(log);
  Process::Command command;
  command.binary = std::getenv("KVASIR_BINARY");
  command.arguments = std::move(arguments);
  command.log_file = log;
  Verdict verdict;
  const auto process = std::move(
      Process::start(loop, command, [&](const std::string& words) { verdict.end = words; }).value());
  const auto says_so = [&] {
    return !serves.empty() && read_file(log).find(serves) != std::string::npos;
  };
  wait_until(loop, [&] { return !verdict.end.empty() || says_so(); });
  if (verdict.end.empty() && says_so()) verdict.end = kStarted;
  verdict.log = read_file(log);
  return verdict;
}

// What comes behind "PROGRAM: ".
std::string words_of(const std::string& log, const std::string& program) {
  const size_t at = log.find(program + ": ");
  return at == std::string::npos ? "" : log.substr(at + program.size() + 2);
}

class ConfigSystemTest : public ::testing::Test {
 protected:
  ConfigSystemTest() {
    std::string name = (fs::temp_directory_path() / "config-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~ConfigSystemTest() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return (directory_ / name).string();
  }
  static std::vector<std::string> joined(std::vector<std::string> a,
                                         const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  Verdict check(const std::string& file, const std::vector<std::string>& flags) {
    return run(*loop_, joined({"config", "check", file}, flags), directory_ / "log", "");
  }
  Verdict epp(const std::string& file, const std::vector<std::string>& flags) {
    return run(*loop_,
               joined({"epp", "--config-file", file, "--host", "127.0.0.1", "--grpc-port", "0",
                       "--grpc-health-port", "0", "--metrics-port", "0", "--secure-serving=false"},
                      flags),
               directory_ / "log", "picking on");
  }
  Verdict gateway(const std::string& file, const std::vector<std::string>& flags) {
    return run(*loop_, joined({"gateway", "--config", file, "--port", "0"}, flags),
               directory_ / "log", "serving on");
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  fs::path directory_;
};

struct Case {
  const char* about;
  const char* config;
  const char* problem = "";  // empty: it starts
  bool experimental = false;
};

const Case kCases[] = {
    {"nothing at all", ""},
    {"the minimum", "plugins: [{type: queue-scorer}]\n"},
    {"version v1",
     "apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\nplugins: [{type: queue-scorer}]\n"},
    {"a field that does not exist", "plugin: []\n", "unknown field 'plugin'"},
    {"a type that does not exist", "plugins: [{type: queue-scorrer}]\n", "does not exist"},
    {"a Beta type that is not built", "plugins: [{type: latency-scorer}]\n",
     "needs a trained latency model"},
    {"a type that reads KV events", "plugins: [{type: precise-prefix-cache-producer}]\n"},
    {"a parameter of KV events out of range",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {kvEventsConfig: {engineType: "
     "x}}}]\n",
     "kvEventsConfig: engineType is 'x' but must be"},
    {"an address for KV events that is none",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {kvEventsConfig: {zmqEndpoint: "
     "'*:5557'}}}]\n",
     "kvEventsConfig: zmqEndpoint: '*:5557': it must begin with tcp:// or ipc://"},
    {"an address for KV events without a port",
     "plugins: [{type: precise-prefix-cache-scorer, parameters: {kvEventsConfig: {zmqEndpoint: "
     "'tcp://*'}}}]\n",
     "kvEventsConfig: zmqEndpoint: 'tcp://*': it needs a port"},
    {"an address for KV events",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {kvEventsConfig: {zmqEndpoint: "
     "'tcp://127.0.0.1:*'}}}]\n"},
    {"an unknown parameter",
     "plugins: [{type: prefix-cache-scorer, parameters: {blockSize: 64}}]\n",
     "unknown parameter 'blockSize'"},
    {"a parameter out of range",
     "plugins: [{type: load-aware-scorer, parameters: {threshold: 0}}]\n", "threshold must be"},
    {"a producer that does not exist",
     "plugins: [{type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: x}}]\n",
     "no plugin is named 'x'"},
    {"an experimental type", "plugins: [{type: session-affinity-scorer}]\n",
     "allow it with --allow-experimental-plugins"},
    {"an experimental type with leave", "plugins: [{type: session-affinity-scorer}]\n", "", true},
    {"eviction, whose policies nobody named",
     "featureGates: [flowControl]\nplugins: [{type: queue-scorer}]\n"
     "flowControl: {enableEviction: true}\n"},
    {"a parser that is named twice",
     "plugins: [{type: openai-parser}, {name: b, type: openai-parser}]\n"
     "requestHandler: {parsers: [{pluginRef: openai-parser}, {pluginRef: b}]}\n"},
    {"parsers of gRPC",
     "plugins: [{type: vllmgrpc-parser}, {type: vertexai-parser}]\n"
     "requestHandler: {parsers: [{pluginRef: vllmgrpc-parser}, {pluginRef: vertexai-parser}]}\n"},
    {"a source that cannot be scraped",
     "plugins: [{type: metrics-data-source, parameters: {scheme: https}}]\n"
     "dataLayer: {sources: [{pluginRef: metrics-data-source}]}\n",
     "https is not built"},
    {"a discovery without a file", "plugins: [{type: file-discovery}]\n", "path is missing"},
    {"a discovery that is none",
     "plugins: [{type: metrics-data-source}]\n"
     "dataLayer: {discovery: {pluginRef: metrics-data-source}}\n",
     "only file-discovery knows endpoints"},
    {"a second handler",
     "plugins: [{type: single-profile-handler}, {name: two, type: single-profile-handler}]\n",
     "second profile handler"},
    {"a handler without its profile",
     "plugins: [{type: disagg-profile-handler}]\n"
     "schedulingProfiles: [{name: a, plugins: []}, {name: b, plugins: []}]\n",
     "no profile 'decode'"},
    {"blocks of two sizes",
     "plugins: [{type: approx-prefix-cache-producer}, {name: b, type: "
     "approx-prefix-cache-producer, "
     "parameters: {blockSizeTokens: 128}}]\n",
     ""},
};

TEST_F(ConfigSystemTest, CheckAndPickerAndGatewayHaveOneVerdictInTheSameWords) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.about);
    const std::string file = write("file.yaml", one.config);
    std::vector<std::string> flags;
    if (one.experimental) flags.push_back("--allow-experimental-plugins");
    const Verdict checked = check(file, flags);
    const Verdict picker = epp(file, joined(flags, {"--endpoints", "127.0.0.1:9"}));
    const Verdict front = gateway(file, joined(flags, {"--worker-urls", "http://127.0.0.1:9"}));
    if (*one.problem == '\0') {
      EXPECT_EQ(checked.end, "exited with status 0") << checked.log;
      EXPECT_EQ(picker.end, kStarted) << picker.log;
      EXPECT_EQ(front.end, kStarted) << front.log;
      continue;
    }
    const std::string words = words_of(checked.log, "kvasir config check");
    EXPECT_THAT(words, AllOf(StartsWith(file), HasSubstr(one.problem)));
    for (const Verdict& verdict : {checked, picker, front})
      EXPECT_EQ(verdict.end, "exited with status 2") << verdict.log;
    EXPECT_EQ(words_of(picker.log, "kvasir epp"), words);
    EXPECT_EQ(words_of(front.log, "kvasir gateway"), words);
  }
}

size_t lines_with(const std::string& text, const std::string& part) {
  size_t found = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) found += line.find(part) != std::string::npos;
  return found;
}

TEST_F(ConfigSystemTest, EveryProblemOfAFileIsToldInOneRun) {
  const std::string plugins =
      "plugins:\n"
      "- type: max-score-picker\n"
      "  parameters: {a: 1}\n"  // line 3
      "- type: prefix-cache-scorer\n"
      "  parameters:\n"
      "    hashBlockSize: 5\n"
      "    lruCapacityPerServer: 31250\n"
      "- type: load-aware-scorer\n"
      "  parameters: {threshold: high}\n"
      "- type: file-discovery\n"
      "  parameters: {pth: x}\n";
  const std::string old_type = "- type: kv-cache-scorer\n";  // line 12
  const std::string unbuilt = "- type: latency-scorer\n";
  for (const std::string& more : {std::string(), old_type, unbuilt}) {
    SCOPED_TRACE(more);
    const std::string file = write("file.yaml", plugins + more);
    const Verdict checked = check(file, {});
    const std::string words = words_of(checked.log, "kvasir config check");
    for (const char* problem :
         {": line 3: max-score-picker: unknown parameter 'a'", ": line 6: prefix-cache-scorer: unknown parameter 'hashBlockSize'; it is ",
          ": line 7: prefix-cache-scorer: unknown parameter 'lruCapacityPerServer'; it is ",
          ": line 9: load-aware-scorer: threshold must be a whole number"}) {
      EXPECT_EQ(lines_with(words, file + problem), 1u) << problem << "\n" << words;
    }
    EXPECT_EQ(lines_with(words, file + ":12: ") + lines_with(words, file + ": line 12: "),
              more.empty() ? 0u : 1u)
        << words;
    EXPECT_EQ(lines_with(checked.log, more.empty() ? ": 6 errors, " : ": 7 errors, "), 1u)
        << checked.log;
    const Verdict picker = epp(file, {});  // the endpoints are the file's to say
    EXPECT_EQ(picker.end, "exited with status 2");
    EXPECT_EQ(lines_with(picker.log, file + ":"), lines_with(words, file + ":")) << picker.log;
  }
}

TEST_F(ConfigSystemTest, ProblemsBeyondTheLimitAreCounted) {
  std::string config = "plugins:\n- type: max-score-picker\n  parameters:\n";
  for (int i = 0; i < 250; ++i) config.append("    x" + std::to_string(i) + ": 1\n");
  const std::string file = write("file.yaml", config);
  const std::string words = words_of(check(file, {}).log, "kvasir config check");
  EXPECT_EQ(lines_with(words, "unknown parameter"), 100u);
  EXPECT_EQ(lines_with(words, file + ": and 150 more errors"), 1u) << words;
}

// One answer, head and all.
class Answer final : public HttpCallObserver {
 public:
  void on_head(const HttpHead& head) override {
    status = head.status();
    pod = std::string(head.find("x-selected-pod").value_or(""));
  }
  void on_body(std::string_view) override {}
  void on_end() override { over = true; }
  void on_failure(const HttpFailure& failure) override {
    problem = failure.message;
    over = true;
  }

  int status = 0;
  std::string pod;
  std::string problem;
  bool over = false;
};

std::string tutorial(const std::string& file) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return std::string(root != nullptr ? root : ".") + "/examples/tutorial/" + file;
}

class TutorialTest : public ConfigSystemTest {
 protected:
  // Where the gateway on this port sends a request.
  std::string ask(HttpClient& client, const std::string& session) {
    const std::string body = R"({"model": "m", "prompt": "one two three"})";
    const std::string head =
        "POST /v1/completions HTTP/1.1\r\nHost: gateway\r\nx-session-id: " + session +
        "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n";
    Answer answer;
    client.start(head, body, answer);
    wait_until(*loop_, [&] { return answer.over; });
    EXPECT_EQ(answer.status, 200) << answer.problem;
    return answer.pod;
  }

  HealthyWorkers workers_{*loop_, 3};
};

TEST_F(TutorialTest, ThePickerServesWithEitherConfigMap) {
  for (const char* file : {"epp_config_map.yaml", "kv_cache_manager_config_map.yaml"}) {
    SCOPED_TRACE(file);
    RunningPicker picker(*loop_, leased_port(),
                         {"--config-file", tutorial(file), "--endpoints", workers_.list()},
                         directory_ / file);
    ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says(" is healthy") >= 3; }))
        << read_file(directory_ / file);
    for (int i = 0; i < 100; ++i) {
      const std::string endpoint = picker.pick({}, "session-" + std::to_string(i % 7), 200);
      EXPECT_THAT(workers_.names, ::testing::Contains(endpoint));
    }
    EXPECT_THAT(check(tutorial(file), {}).end, "exited with status 0");
  }
}

TEST_F(TutorialTest, InThePickerASessionStaysOnItsEndpoint) {
  RunningPicker picker(
      *loop_, leased_port(),
      {"--config-file", tutorial("epp_config_map.yaml"), "--endpoints", workers_.list()},
      directory_ / "picker");
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says(" is healthy") >= 3; }));
  for (int session = 0; session < 5; ++session) {
    std::set<std::string> endpoints;
    for (int i = 0; i < 10; ++i)
      endpoints.insert(picker.pick({}, "session-" + std::to_string(session), 200));
    EXPECT_EQ(endpoints.size(), 1u) << "session " << session;
  }
}

TEST_F(TutorialTest, TheGatewayServesWithEitherAndKeepsSessions) {
  for (const char* file : {"epp_config_map.yaml", "kv_cache_manager_config_map.yaml"}) {
    SCOPED_TRACE(file);
    const uint16_t port = leased_port();
    std::string urls;
    for (const std::string& name : workers_.names)
      urls += (urls.empty() ? "http://" : ",http://") + name;
    Process::Command command;
    command.binary = std::getenv("KVASIR_BINARY");
    command.arguments = {"gateway", "--config", tutorial(file), "--worker-urls", urls, "--port",
                         std::to_string(port)};
    command.log_file = directory_ / file;
    const auto process =
        std::move(Process::start(*loop_, command, [](const std::string&) {}).value());
    ASSERT_TRUE(wait_until(*loop_, [&] {
      const std::string log = read_file(directory_ / file);
      return log.find("serving on") != std::string::npos;
    })) << read_file(directory_ / file);
    HttpClient client(*loop_, resolve("127.0.0.1", port).value());
    Answer health;
    wait_until(*loop_, [&] {
      Answer answer;
      client.start("GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n", "", answer);
      wait_until(*loop_, [&] { return answer.over; });
      return answer.status == 200;
    });
    const bool keeps = std::string(file) == "epp_config_map.yaml";
    for (int session = 0; session < 10; ++session) {
      std::set<std::string> pods;
      for (int i = 0; i < 10; ++i) pods.insert(ask(client, "s-" + std::to_string(session)));
      EXPECT_EQ(pods.count(""), 0u);
      if (keeps) {
        EXPECT_EQ(pods.size(), 1u) << "session " << session;
      }
    }
  }
}

// What an entry of file-discovery looks like, with and without being watched.
class DiscoverySystemTest : public ConfigSystemTest {
 protected:
  std::string config(bool watch) {
    return write("epp.yaml",
                 "apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\nplugins:\n"
                 "- {name: files, type: file-discovery, parameters: {path: " +
                     (directory_ / "endpoints.yaml").string() +
                     (watch ? ", watchFile: true" : "") +
                     "}}\n- {type: active-request-scorer}\n"
                     "dataLayer: {discovery: {endpoints: {pluginRef: files}}}\n");
  }
  void list(size_t worker) {
    const std::string& name = workers_.names[worker];
    write("new.yaml", "endpoints:\n- {name: w, namespace: n, address: " + workers_.hosts[worker] +
                          ", port: \"" + name.substr(name.rfind(':') + 1) + "\"}\n");
    fs::rename(directory_ / "new.yaml", directory_ / "endpoints.yaml");
  }

  HealthyWorkers workers_{*loop_, 3};
};

TEST_F(DiscoverySystemTest, TheConfigurationSaysWhereTheEndpointsAre) {
  list(0);
  RunningPicker picker(*loop_, leased_port(), {"--config-file", config(true)},
                       directory_ / "picker");
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says(" is healthy") >= 1; }));
  EXPECT_EQ(picker.pick(), workers_.names[0]);
  list(1);
  EXPECT_TRUE(wait_until(*loop_, [&] { return picker.pick() == workers_.names[1]; }));
}

TEST_F(DiscoverySystemTest, AFlagSaysItBetterAndTheLogSaysSo) {
  list(0);
  RunningPicker picker(*loop_, leased_port(),
                       {"--config-file", config(true), "--endpoints", workers_.names[2]},
                       directory_ / "picker");
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says(" is healthy") >= 1; }));
  EXPECT_EQ(picker.pick(), workers_.names[2]);
  EXPECT_EQ(picker.says("dataLayer.discovery is not used"), 1u);
}

TEST_F(DiscoverySystemTest, TheGatewayReadsItToo) {
  list(0);
  EXPECT_EQ(gateway(config(false), {}).end, kStarted);
}

TEST_F(DiscoverySystemTest, AFileThatIsNotThereIsAnErrorAtStartAndAWarningOfTheCheck) {
  const std::string file = config(false);
  EXPECT_EQ(epp(file, {}).end, "exited with status 2");
  const Verdict checked = check(file, {});
  EXPECT_EQ(checked.end, "exited with status 0");
  EXPECT_THAT(checked.log, HasSubstr("is not here"));
}

TEST_F(DiscoverySystemTest, WithoutAnyEndpointsTheWaysToNameThemAreTold) {
  const Verdict verdict = epp(write("plain.yaml", "plugins: [{type: queue-scorer}]\n"), {});
  EXPECT_EQ(verdict.end, "exited with status 2");
  EXPECT_THAT(verdict.log, HasSubstr("dataLayer.discovery of the configuration"));
}

}  // namespace
}  // namespace kvasir
