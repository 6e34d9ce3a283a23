// `kvasir kv-cache-manager` as the tutorial's readers use it: engines that connect to its port, and
// curl.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <zmq.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/big_endian.h"
#include "leased_port.h"
#include "program.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// An engine's publisher: it listens, as vLLM does, or connects, as the tutorial's does.
class Publisher {
 public:
  explicit Publisher(const std::string& connect_to = {})
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_XPUB)) {
    const int linger = 1000;
    const int verbose = 1;
    zmq_setsockopt(socket_, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
    if (!connect_to.empty()) {
      zmq_connect(socket_, connect_to.c_str());
      return;
    }
    zmq_bind(socket_, "tcp://127.0.0.1:*");
    char bound[128];
    size_t size = sizeof bound;
    zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, bound, &size);
    address_ = bound;
  }
  ~Publisher() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  const std::string& address() const { return address_; }
  // Whether somebody subscribes who had not before.
  bool gets_subscriber() {
    for (int tries = 0; tries < 200; ++tries) {
      char message[64];
      const int size = zmq_recv(socket_, message, sizeof message, ZMQ_DONTWAIT);
      if (size > 0 && message[0] == 1) return true;
      if (size < 0) zmq_poll(nullptr, 0, 50);
    }
    return false;
  }
  void count_from(uint64_t number) { next_ = number; }
  void json(const std::string& text) { send({"kv-events", text}); }
  void batch(const std::string& topic, const std::string& bytes) {
    send({topic, big_endian_bytes(next_++), bytes});
  }

  void send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket_, frames[i].data(), frames[i].size(),
               i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }

 private:
  void* const context_;
  void* const socket_;
  std::string address_;
  uint64_t next_ = 0;
};

std::string output_of(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> bytes{};
  for (size_t size = 0; (size = fread(bytes.data(), 1, bytes.size(), pipe)) > 0;) {
    output.append(bytes.data(), size);
  }
  pclose(pipe);
  return output;
}

// The manager, with the tutorial's variables.
class RunningManager {
 public:
  explicit RunningManager(std::vector<std::string> more = {}, bool bound = true)
      : http_(leased_port()), zmq_(leased_port()) {
    std::vector<std::string> arguments = {"kv-cache-manager", "--host", "127.0.0.1", "--http-port",
                                          std::to_string(http_)};
    if (bound) {
      arguments.push_back("--bind");
      arguments.push_back("tcp://127.0.0.1:" + std::to_string(zmq_));
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    program_.emplace(std::move(arguments));
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(http_); }
  std::string events() const { return "tcp://127.0.0.1:" + std::to_string(zmq_); }
  Program& program() { return *program_; }
  std::string curl(const std::string& arguments) const {
    return output_of("curl -sS " + arguments);
  }
  std::string get(const std::string& path) const { return curl(url() + path); }
  std::string post(const std::string& path, const std::string& body) const {
    const std::string file = testing::TempDir() + "question-" + std::to_string(http_) + ".json";
    std::ofstream(file) << body;
    return curl("-X POST " + url() + path + " -H 'Content-Type: application/json' -d @" + file);
  }
  // Publishes again until the manager has heard it: a publisher drops what nobody listens to yet.
  template <class Publish>
  bool comes_to_know(const std::string& path, const std::string& text, Publish&& publish) {
    for (int tries = 0; tries < 200; ++tries) {
      publish();
      zmq_poll(nullptr, 0, 50);
      if (get(path).find(text) != std::string::npos) return true;
    }
    return false;
  }

 private:
  const uint16_t http_;
  const uint16_t zmq_;
  std::optional<Program> program_;
};

// As the tutorial writes it, comment and all; with another pod and block.
std::string tutorial_event(const std::string& pod, const std::string& hash) {
  return R"({
  "event_type": "BLOCK_CREATED",  // or BLOCK_EVICTED
  "pod_id": ")" +
         pod + R"(",
  "block_hash": ")" +
         hash + R"(",
  "block_tokens": ["Hello", "world", "!"],
  "num_tokens": 64,
  "timestamp": "2025-10-26T10:30:45Z",
  "layer_id": 0,
  "cache_size_bytes": 262144
})";
}

TEST(KvCacheManager, TheTutorialsEventsAndCallsWork) {
  RunningManager manager;
  ASSERT_TRUE(manager.program().comes_to_say("serving on http://")) << manager.program().output();
  EXPECT_EQ(manager.get("/healthz"), "ok\n");
  EXPECT_EQ(manager.get("/readyz"), "ok\n");
  Publisher engine(manager.events());
  const std::vector<std::pair<std::string, std::string>> events = {
      {"vllm-decode-pod-1", "sha256:abc123..."}, {"vllm-decode-pod-1", "sha256:def456..."},
      {"vllm-decode-pod-1", "sha256:ghi789..."}, {"vllm-decode-pod-2", "sha256:abc123..."},
      {"vllm-decode-pod-2", "sha256:def456..."}, {"vllm-decode-pod-3", "sha256:zzz..."}};
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/state", "\"total_blocks\":6,",
                                    [&] {
                                      for (const auto& [pod, hash] : events)
                                        engine.json(tutorial_event(pod, hash));
                                    }))
      << manager.get("/api/v1/cache/state") << manager.program().output();

  const std::string score = manager.post("/api/v1/score", R"({
  "prompt": "Tell me about machine learning",
  "prompt_blocks": [
    "sha256:abc123...",
    "sha256:def456...",
    "sha256:ghi789..."
  ],
  "candidate_pods": [
    "vllm-decode-pod-1",
    "vllm-decode-pod-2",
    "vllm-decode-pod-3"
  ]
})");
  EXPECT_THAT(score, HasSubstr(R"("vllm-decode-pod-1":{"cache_hit_rate":1.0,"blocks_present":3,)"
                               R"("blocks_total":3,"score":100.0,"cache_size_mb":0.7864,)"));
  EXPECT_THAT(score,
              HasSubstr(R"("vllm-decode-pod-2":{"cache_hit_rate":0.6667,"blocks_present":2,)"));
  EXPECT_THAT(score, HasSubstr(R"("vllm-decode-pod-3":{"cache_hit_rate":0.0,"blocks_present":0,)"));
  EXPECT_THAT(score, HasSubstr(R"("recommendation":"vllm-decode-pod-1")"));

  const std::string state = manager.get("/api/v1/cache/state");
  for (const char* field : {"\"total_blocks\":6", "\"unique_blocks\":4", "\"total_pods\":3",
                            "\"average_cache_utilization\":null", "\"global_hit_rate\":1.0",
                            "\"cache_size_total_gb\":0.0016", "\"last_updated\":\"2"}) {
    EXPECT_THAT(state, HasSubstr(field));
  }
  const std::string pod = manager.get("/api/v1/cache/pod/vllm-decode-pod-1");
  for (const char* field :
       {"\"pod_id\":\"vllm-decode-pod-1\"", "\"blocks_cached\":3", "\"hit_rate\":1.0",
        "\"block_hash\":\"sha256:abc123...\"", "\"access_count\":1", "\"status\":\"healthy\""}) {
    EXPECT_THAT(pod, HasSubstr(field));
  }
  EXPECT_THAT(
      manager.curl("-o /dev/null -w '%{http_code}' " + manager.url() + "/api/v1/cache/pod/nobody"),
      "404");
  // A rate wants two looks.
  EXPECT_TRUE(manager.comes_to_know(
      "/metrics", "kv_cache_manager_eviction_rate{pod=\"vllm-decode-pod-1\"} 0\n", [] {}));
  const std::string metrics = manager.get("/metrics");
  for (const char* line :
       {"kv_cache_manager_total_blocks 6\n", "kv_cache_manager_unique_blocks 4\n",
        "kv_cache_manager_pods_tracked 3\n",
        "kv_cache_manager_hit_rate{pod=\"vllm-decode-pod-1\"} 1\n",
        "kv_cache_manager_global_hit_rate 1\n",
        "kv_cache_manager_events_received_total{type=\"BLOCK_CREATED\"} ",
        "kv_cache_manager_event_processing_duration_seconds ",
        "kv_cache_manager_score_requests_total 1\n",
        "kv_cache_manager_score_request_duration_seconds{quantile=\"0.5\"} ",
        "kv_cache_manager_score_request_duration_seconds{quantile=\"0.99\"} ",
        "kvcache_index_lookup_requests_total 1\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  manager.program().signal(SIGTERM);
  EXPECT_EQ(manager.program().wait(), 0) << manager.program().output();
}

std::string stored_batch(uint64_t name, const std::vector<uint32_t>& tokens,
                         double stamp = 1764240000.5) {
  const uint64_t names[] = {name};
  KvBlocksStored event;
  event.block_hashes = names;
  event.token_ids = tokens;
  event.block_size = static_cast<uint32_t>(tokens.size());
  KvEventEncoder encoder;
  encoder.begin(stamp);
  encoder.stored(event);
  return encoder.finish(0);
}

TEST(KvCacheManager, EnginesAreSubscribedToAndTokensScored) {
  Publisher engine;
  RunningManager manager({"--subscribe", "a=" + engine.address()}, false);
  const std::vector<uint32_t> tokens = {1, 2, 3, 4};
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"blocks_cached\":1,",
                                    [&] { engine.batch("kv@a@m", stored_batch(7, tokens)); }))
      << manager.get("/api/v1/cache/pod/a") << manager.program().output();
  const std::string score = manager.post(
      "/api/v1/score", R"({"token_ids":[1,2,3,4,5,6,7,8,9],"candidate_pods":["a","b"]})");
  EXPECT_THAT(score,
              HasSubstr(R"("a":{"cache_hit_rate":0.5,"blocks_present":1,"blocks_total":2,)"));
  EXPECT_THAT(score, HasSubstr(R"("b":{"cache_hit_rate":null,)"));
  EXPECT_THAT(manager.post("/api/v1/score", R"({"token_ids":[1,2,3,4],"model":"m"})"),
              HasSubstr(R"("a":{"cache_hit_rate":1.0,)"));
  EXPECT_THAT(manager.post("/api/v1/score", R"({"token_ids":[1,2,3,4],"model":"another"})"),
              HasSubstr("\"reason\":\"its engine serves another model\""));
  EXPECT_THAT(manager.get("/api/v1/cache/pod/a"), HasSubstr("\"connected\":true"));
  EXPECT_THAT(manager.program().output(), HasSubstr("first KVEvent received of pod a"));
  EXPECT_THAT(manager.program().output(), Not(HasSubstr("block_hash")));
}

TEST(KvCacheManager, AnEngineThatIsNotThereIsSaid) {
  const std::string nobody = "tcp://127.0.0.1:" + std::to_string(leased_port());
  RunningManager manager({"--subscribe", "a=" + nobody}, false);
  EXPECT_TRUE(manager.program().comes_to_say("nobody answers at " + nobody + " for pod a"))
      << manager.program().output();
  EXPECT_THAT(manager.get("/api/v1/cache/pod/a"), HasSubstr("\"connected\":false"));
  const std::string kvasir = std::getenv("KVASIR_BINARY");
  const std::string dump = testing::TempDir() + "kv-cache-manager.of-nobody";
  output_of(kvasir + " kv dump " + manager.url() + " -o " + dump);
  EXPECT_THAT(output_of(kvasir + " kv load " + dump),
              testing::ContainsRegex("a +0 +0  none yet\n"));
}

TEST(KvCacheManager, EveryMessageThatCannotBeReadIsCounted) {
  RunningManager manager;
  ASSERT_TRUE(manager.program().comes_to_say("serving on http://")) << manager.program().output();
  Publisher engine(manager.events());
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/state", "\"total_blocks\":1,",
                                    [&] { engine.json(tutorial_event("p", "h")); }));
  ASSERT_THAT(manager.get("/metrics"), HasSubstr("kv_cache_manager_bad_messages_total 0\n"));
  engine.send({"kv@p@m", "no number", "batch"});
  engine.json("{");
  engine.json("[{}]");
  EXPECT_TRUE(manager.comes_to_know("/metrics", "kv_cache_manager_bad_messages_total 3\n", [] {}));
  EXPECT_TRUE(manager.program().comes_to_say("a message of pod kv@p@m cannot be read"));
}

TEST(KvCacheManager, AnEngineThatConnectedAndEndedIsStale) {
  RunningManager manager;
  ASSERT_TRUE(manager.program().comes_to_say("serving on http://")) << manager.program().output();
  {
    Publisher engine(manager.events());
    ASSERT_TRUE(engine.gets_subscriber());
    engine.batch("kv@a@m", stored_batch(7, {1, 2, 3, 4}));
    ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"freshness\":\"exact\"", [] {}))
        << manager.get("/api/v1/cache/pod/a") << manager.program().output();
    EXPECT_THAT(manager.get("/api/v1/cache/pod/a"), HasSubstr("\"connected\":true"));
  }
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"status\":\"stale\"", [] {}));
  EXPECT_THAT(manager.get("/api/v1/cache/pod/a"), HasSubstr("\"connected\":false"));
  EXPECT_THAT(manager.get("/metrics"),
              HasSubstr("llm_d_epp_kv_cache_events_active_subscribers 0\n"));
  EXPECT_THAT(manager.post("/api/v1/score", R"({"token_ids":[1,2,3,4]})"),
              HasSubstr("\"cache_hit_rate\":null"));
}

TEST(KvCacheManager, EachEventIsLoggedWithTheTutorialsKeysWhenAsked) {
  Publisher engine;
  RunningManager manager(
      {"--subscribe", "a=" + engine.address(), "--log-level", "debug", "--log-encoding", "json"},
      false);
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"blocks_cached\":1,", [&] {
    engine.batch("kv@a@m", stored_batch(0xabc, {1, 2, 3, 4}));
  }));
  ASSERT_TRUE(manager.program().comes_to_say("KVEvent received"));
  const std::string log = manager.program().output();
  for (const char* part :
       {R"("level":"debug")", R"("component":"event_subscriber")",
        R"("message":"KVEvent received")", R"("event_type":"BLOCK_CREATED")", R"("pod_id":"a")",
        R"("block_hash":"0000000000000abc")", R"("block_size":4)", R"("processing_time_ms":)"}) {
    EXPECT_THAT(log, HasSubstr(part));
  }
}

TEST(KvCacheManager, TwoManagersSayWhenOneEventWasLost) {
  // One engine as each of the two hears it.
  Publisher to_first, to_second;
  RunningManager first({"--subscribe", "a=" + to_first.address()}, false);
  RunningManager second(
      {"--subscribe", "a=" + to_second.address(), "--peer", first.url(), "--peer-interval", "0.1"},
      false);
  const std::string one = stored_batch(7, {1, 2, 3, 4});
  const auto publish = [&](Publisher& to) { return [&] { to.batch("kv@a@m", one); }; };
  ASSERT_TRUE(
      first.comes_to_know("/api/v1/cache/pod/a", "\"blocks_cached\":1,", publish(to_first)));
  ASSERT_TRUE(
      second.comes_to_know("/api/v1/cache/pod/a", "\"blocks_cached\":1,", publish(to_second)));
  ASSERT_TRUE(second.program().comes_to_say("knows the same of all pods (1 compared)"))
      << second.program().output();
  EXPECT_THAT(second.program().output(), Not(HasSubstr("0 compared")));
  EXPECT_THAT(second.get("/api/v1/cache/state"), HasSubstr("\"differs_from\":[]"));
  // The second does not hear of the next block, and both hear the last one.
  to_first.batch("kv@a@m", stored_batch(8, {5, 6, 7, 8}, 1764240001));
  for (Publisher* to : {&to_first, &to_second}) {
    to->batch("kv@a@m", stored_batch(9, {9, 10, 11, 12}, 1764240002));
  }
  ASSERT_TRUE(second.program().comes_to_say("differs: it knows something else of a"))
      << second.program().output() << first.get("/api/v1/cache/digest")
      << second.get("/api/v1/cache/digest");
  EXPECT_THAT(second.get("/api/v1/cache/state"), HasSubstr("\"pods\":[\"a\"]"));
  EXPECT_THAT(second.get("/metrics"),
              HasSubstr("kv_cache_manager_peer_differing_pods{peer=\"" + first.url() + "\"} 1\n"));
}

TEST(KvCacheManager, ARestartedManagerGoesOnFromItsSnapshot) {
  const std::string snapshot = testing::TempDir() + "kv-cache-manager.snapshot";
  const std::string dump = testing::TempDir() + "kv-cache-manager.dump";
  std::filesystem::remove(snapshot);
  Publisher engine;
  engine.count_from(5000);  // so far on, a following number is no restart's
  const std::vector<std::string> flags = {
      "--subscribe", "a=" + engine.address(), "--load", snapshot, "--snapshot", snapshot};
  const std::string kvasir = std::getenv("KVASIR_BINARY");
  {
    RunningManager manager(flags, false);
    ASSERT_TRUE(engine.gets_subscriber());
    engine.batch("kv@a@m", stored_batch(7, {1, 2, 3, 4}));
    ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"blocks_cached\":1,", [] {}));
    EXPECT_THAT(output_of(kvasir + " kv dump " + manager.url() + " -o " + dump),
                HasSubstr("what is known of 1 publishers"));
    EXPECT_THAT(output_of(kvasir + " kv watch " + manager.url() + " --count 1"),
                testing::ContainsRegex("a +healthy +1 "));
    EXPECT_THAT(output_of(kvasir + " kv watch --count 1 --json " + manager.url()),
                HasSubstr("\"blocks_cached\":1,"));
    manager.program().signal(SIGTERM);
    ASSERT_EQ(manager.program().wait(), 0) << manager.program().output();
  }
  for (const std::string& file : {dump, snapshot}) {
    EXPECT_THAT(output_of(kvasir + " kv load " + file), testing::ContainsRegex("a +0 +1  5000\n"))
        << file;
  }
  RunningManager manager(flags, false);
  ASSERT_TRUE(manager.program().comes_to_say("1 blocks of " + snapshot + " are known, and stale"));
  ASSERT_TRUE(engine.gets_subscriber());
  const std::string before = manager.get("/api/v1/cache/pod/a");
  EXPECT_THAT(before, HasSubstr("\"blocks_cached\":1,"));
  EXPECT_THAT(before, HasSubstr("\"status\":\"stale\""));
  EXPECT_THAT(manager.post("/api/v1/score", R"({"token_ids":[1,2,3,4]})"),
              HasSubstr("\"cache_hit_rate\":null"));
  engine.batch("kv@a@m", stored_batch(8, {5, 6, 7, 8}));
  ASSERT_TRUE(manager.comes_to_know("/api/v1/cache/pod/a", "\"status\":\"healthy\"", [] {}))
      << manager.get("/api/v1/cache/pod/a") << manager.program().output();
  EXPECT_THAT(manager.post("/api/v1/score", R"({"token_ids":[1,2,3,4]})"),
              HasSubstr("\"cache_hit_rate\":1.0"));
  EXPECT_THAT(manager.get("/api/v1/cache/pod/a"), HasSubstr("\"blocks_cached\":2,"));
  RunningManager of_others({"--subscribe", "b=tcp://127.0.0.1:1", "--load", dump}, false);
  EXPECT_TRUE(of_others.program().comes_to_say("ten minutes: a\n")) << of_others.program().output();
  EXPECT_THAT(output_of(kvasir + " kv watch " + of_others.url() + " --count 1"),
              testing::ContainsRegex("a +stale +1 .* -\n"));
  std::ofstream(snapshot, std::ios::app) << "x";
  manager.program().signal(SIGKILL);
  Program refused(
      {"kv-cache-manager", "--http-port", "0", "--load", snapshot, "--bind", "tcp://127.0.0.1:*"});
  EXPECT_EQ(refused.wait(), 2);
  EXPECT_THAT(refused.output(), HasSubstr("its checksum is wrong"));
}

TEST(KvCacheManager, OurOwnGatewayRoutesByItsScores) {
  // Two workers; what their caches hold is said by publishers of the test.
  const uint16_t ports[] = {leased_port(), leased_port()};
  Publisher engines[2];
  std::vector<std::string> subscriptions;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Program>> workers;
  for (int i = 0; i < 2; ++i) {
    names.push_back("127.0.0.1:" + std::to_string(ports[i]));
    subscriptions.push_back("--subscribe");
    subscriptions.push_back(names.back() + "=" + engines[i].address());
    workers.push_back(std::make_unique<Program>(
        std::vector<std::string>{"worker", "--host", "127.0.0.1", "--port",
                                 std::to_string(ports[i]), "--time-scale", "50"}));
  }
  RunningManager manager(subscriptions, false);
  const std::vector<uint32_t> prompts[] = {{11, 12, 13, 14}, {21, 22, 23, 24}};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(engines[i].gets_subscriber());
    engines[i].batch("kv@pod@Qwen/Qwen3-32B", stored_batch(7 + i, prompts[i]));
    ASSERT_TRUE(
        manager.comes_to_know("/api/v1/cache/pod/" + names[i], "\"blocks_cached\":1,", [] {}));
  }
  const std::string config = testing::TempDir() + "kv-cache-manager-scorer.yaml";
  std::ofstream(config) << "apiVersion: inference.networking.x-k8s.io/v1alpha1\n"
                           "kind: EndpointPickerConfig\n"
                           "plugins:\n"
                           "- type: seed-kv-cache-manager-scorer\n"
                           "  parameters: {endpoint: \""
                        << manager.url()
                        << "\", timeout: 5s}\n"
                           "- type: max-score-picker\n"
                           "- type: single-profile-handler\n"
                           "schedulingProfiles:\n"
                           "- name: default\n"
                           "  plugins:\n"
                           "  - {pluginRef: seed-kv-cache-manager-scorer, weight: 1}\n"
                           "  - {pluginRef: max-score-picker}\n";
  const uint16_t port = leased_port();
  Program gateway({"gateway", "--port", std::to_string(port), "--config", config, "--worker-urls",
                   "http://" + names[0] + ",http://" + names[1]});
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  const auto picked = [&](const std::string& prompt) {
    return output_of("curl -si " + url +
                     "/v1/completions -H 'Content-Type: application/json' -d '{\"model\": "
                     "\"Qwen/Qwen3-32B\", \"max_tokens\": 2, \"prompt\": " +
                     prompt + "}' | grep -i x-selected-pod");
  };
  for (int tries = 0; tries < 200; ++tries) {
    if (output_of("curl -s -o /dev/null -w '%{http_code}' " + url + "/readyz") == "200") break;
    zmq_poll(nullptr, 0, 50);
  }
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(picked("[11, 12, 13, 14, 15]"), HasSubstr(names[0])) << gateway.output();
    EXPECT_THAT(picked("[21, 22, 23, 24, 25]"), HasSubstr(names[1])) << gateway.output();
  }
}

TEST(KvCacheManager, OfTwoManagersOneMayGoAndAnotherComesInItsPlace) {
  const std::string events = std::to_string(leased_port());
  const std::string replay = std::to_string(leased_port());
  const uint16_t port = leased_port();
  Program worker({"worker", "--host", "127.0.0.1", "--port", std::to_string(port), "--time-scale",
                  "50", "--kv-events-config",
                  R"({"enable_kv_cache_events": true, "publisher": "zmq", "endpoint": "tcp://*:)" +
                      events + R"(", "replay_endpoint": "tcp://*:)" + replay + "\"}"});
  ASSERT_TRUE(worker.comes_to_say("serving on http")) << worker.output();
  const std::vector<std::string> flags = {
      "--subscribe", "w=tcp://127.0.0.1:" + events + ",replay=tcp://127.0.0.1:" + replay};
  RunningManager first(flags, false);
  auto second = std::make_unique<RunningManager>(flags, false);
  std::string ids = "1000";
  for (int id = 1001; id < 1040; ++id) ids += "," + std::to_string(id);  // two blocks and a half
  const std::string served = output_of(
      "curl -sS http://127.0.0.1:" + std::to_string(port) +
      "/v1/completions -H 'Content-Type: application/json' -d '{\"model\": \"Qwen/Qwen3-32B\", "
      "\"max_tokens\": 1, \"prompt\": [" +
      ids + "]}'");
  ASSERT_THAT(served, HasSubstr("\"prompt_tokens\":40")) << worker.output();
  const std::string question = "{\"token_ids\":[" + ids + "],\"candidate_pods\":[\"w\"]}";
  const auto knows_it = [&](RunningManager& manager) {
    return manager.comes_to_know("/api/v1/cache/pod/w", "\"freshness\":\"exact\"", [] {}) &&
           manager.comes_to_know("/api/v1/cache/pod/w", "\"blocks_cached\":2,", [] {});
  };
  ASSERT_TRUE(knows_it(first)) << first.get("/api/v1/cache/pod/w") << first.program().output();
  ASSERT_TRUE(knows_it(*second)) << second->get("/api/v1/cache/pod/w");
  const std::string answer = first.post("/api/v1/score", question);
  EXPECT_THAT(answer, HasSubstr("\"cache_hit_rate\":1.0,\"blocks_present\":2,\"blocks_total\":2,"));
  EXPECT_EQ(second->post("/api/v1/score", question), answer);
  second->program().signal(SIGKILL);
  second = std::make_unique<RunningManager>(flags, false);
  ASSERT_TRUE(knows_it(*second)) << second->get("/api/v1/cache/pod/w");
  EXPECT_EQ(second->post("/api/v1/score", question), answer);
}

TEST(KvCacheManager, BadFlagsAreRefusedByName) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--subscribe", "tcp://x:1"}, "--subscribe: 'tcp://x:1' is not POD=tcp://HOST:PORT"},
      {{"--subscribe", "a=tcp://x:1,ranks=0"}, "ranks: '0' is not a number from 1 to 64"},
      {{"--subscribe", "a=tcp://x:1,color=red"}, "'color' is not known"},
      {{"--subscribe", "a=tcp://x:1", "--subscribe", "a=tcp://y:1"}, "pod 'a' appears twice"},
      {{"--peer", "ftp://x"}, "--peer: "},
      {{"--index-memory", "much"}, "--index-memory: 'much' is not a number of bytes"},
      {{"--bind", "tcp://*:1", "--subscribe", "a=tcp://x:1"}, "--bind and --subscribe: "},
      {{"--log-level", "loud"}, "--log-level: 'loud' is none of"},
      {{"--tokenizer", "/nowhere.json"}, "--tokenizer: "},
      {{"--subscribe", "a=tcp://x:1,replay=tcp://x:1"}, "--subscribe: 'a=tcp://x:1,replay="},
      {{"--snapshot", "/nowhere/kv.snapshot"}, "--snapshot: cannot write /nowhere/kv.snapshot: "},
      {{"--snapshot", "/dev/null"}, "--snapshot: cannot write /dev/null: it is a device"},
      {{"--bind", "tcp://nowhere0:1"}, "--bind: cannot listen on tcp://nowhere0:1: "},
      {{"--index-max-blocks", "-1"}, "--index-max-blocks: '-1' is below 0"},
  };
  for (const auto& [flags, message] : cases) {
    std::vector<std::string> arguments = {"kv-cache-manager", "--http-port", "0"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    Program program(arguments);
    EXPECT_EQ(program.wait(), 2) << message;
    EXPECT_THAT(program.output(), HasSubstr(message));
  }
}

TEST(KvCacheManager, APortThatIsTakenIsToldWithTheFlagAndTheRemedy) {
  RunningManager manager;
  ASSERT_TRUE(manager.program().comes_to_say("serving on http://")) << manager.program().output();
  Program second({"kv-cache-manager", "--http-port", "0", "--bind", manager.events()});
  EXPECT_EQ(second.wait(), 2);
  EXPECT_THAT(second.output(),
              HasSubstr("--bind: cannot listen on " + manager.events() +
                        ": Address already in use; end what listens there, or take another port"));
}

TEST(KvCacheManager, AVariableWhoseValueIsWrongIsNamed) {
  const std::string kvasir = std::getenv("KVASIR_BINARY");
  for (const char* variable :
       {"HTTP_PORT=none", "INDEX_TTL=-1", "INDEX_MAX_BLOCKS=-1", "INDEX_CLEANUP_INTERVAL=0",
        "LOG_LEVEL=loud", "ZMQ_BIND_ADDRESS=tcp://*:99999"}) {
    const std::string text = variable;
    const std::string said = output_of(text + " timeout 10 " + kvasir + " kv-cache-manager 2>&1");
    EXPECT_THAT(said, HasSubstr(text.substr(0, text.find('=')) + " (--")) << text;
  }
}

TEST(KvCacheManager, WhatIsNoManagerIsToldSo) {
  const uint16_t port = leased_port();
  Program gateway(
      {"gateway", "--port", std::to_string(port), "--worker-urls", "http://127.0.0.1:1"});
  ASSERT_TRUE(gateway.comes_to_say("serving on http")) << gateway.output();
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  const std::string file = testing::TempDir() + "kv-cache-manager.of-a-gateway";
  const std::vector<std::string> commands[] = {{"kv", "watch", "--count", "1", url},
                                               {"kv", "dump", "-o", file, url}};
  for (const std::vector<std::string>& command : commands) {
    Program asking(command);
    EXPECT_EQ(asking.wait(), 1);
    EXPECT_THAT(asking.output(), HasSubstr(url + " answers 503 to /api/v1/cache/"));
    EXPECT_THAT(asking.output(), HasSubstr(": it is not a KV-cache manager"));
  }
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace kvasir
