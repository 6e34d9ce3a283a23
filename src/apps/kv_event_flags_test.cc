// How a worker publishes KV events, by vLLM's flag and by the tutorial's variables.
#include "apps/kv_event_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace kvasir {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class KvEventFlagsTest : public testing::Test {
 protected:
  void SetUp() override { forget_variables(); }
  void TearDown() override { forget_variables(); }

  static void forget_variables() {
    for (const char* name :
         {"VLLM_KV_EVENT_ENABLED", "VLLM_KV_EVENT_ZMQ_ENDPOINT", "VLLM_KV_EVENT_INTERVAL_MS"}) {
      unsetenv(name);
    }
  }
  static std::optional<KvEventWriterOptions> options(const KvEventFlags& flags) {
    auto options = kv_event_options(flags, "kv@pod:8000@model");
    EXPECT_TRUE(options.ok()) << options.error().message;
    return options ? *options : std::nullopt;
  }
  static std::optional<KvEventWriterOptions> configured(const std::string& json) {
    return options({json, false, 0});
  }
  static std::string refusal(const KvEventFlags& flags) {
    auto options = kv_event_options(flags, "");
    EXPECT_FALSE(options.ok());
    return options ? "" : options.error().message;
  }
  static std::string refusal_of(const std::string& json) {
    return refusal(KvEventFlags{json, false, 0});
  }
};

TEST_F(KvEventFlagsTest, NothingIsPublishedUnlessItIsAskedFor) {
  EXPECT_FALSE(options({}));
  EXPECT_FALSE(configured("{}"));
  EXPECT_FALSE(configured(R"({"endpoint": "tcp://*:5557"})"));
  EXPECT_FALSE(configured(R"({"enable_kv_cache_events": false})"));
  EXPECT_FALSE(configured(R"({"enable_kv_cache_events": true, "publisher": "null"})"));
  EXPECT_TRUE(configured(R"({"enable_kv_cache_events": true})"));
  EXPECT_TRUE(options({"", true, 0}));
}

TEST_F(KvEventFlagsTest, TheDefaultsAreVllms) {
  for (const auto& asked : {configured(R"({"enable_kv_cache_events": true, "publisher": null})"),
                            options({"", true, 0})}) {
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->publisher.endpoint, "tcp://*:5557");
    EXPECT_EQ(asked->publisher.replay_endpoint, "");
    EXPECT_EQ(asked->publisher.topic, "");
    EXPECT_EQ(asked->publisher.buffer_steps, 10'000u);
    EXPECT_EQ(asked->publisher.hwm, 100'000);
    EXPECT_EQ(asked->publisher.max_queue_size, 100'000u);
    EXPECT_EQ(asked->interval, Duration::zero());
  }
}

TEST_F(KvEventFlagsTest, EveryFieldIsTaken) {
  const auto asked = configured(
      R"({"enable_kv_cache_events": true, "publisher": "zmq", "endpoint": "tcp://*:7000",
          "replay_endpoint": "tcp://*:7001", "buffer_steps": 5, "hwm": 6, "max_queue_size": 7,
          "topic": "kv@a@b"})");
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->publisher.endpoint, "tcp://*:7000");
  EXPECT_EQ(asked->publisher.replay_endpoint, "tcp://*:7001");
  EXPECT_EQ(asked->publisher.buffer_steps, 5u);
  EXPECT_EQ(asked->publisher.hwm, 6);
  EXPECT_EQ(asked->publisher.max_queue_size, 7u);
  EXPECT_EQ(asked->publisher.topic, "kv@a@b");
}

TEST_F(KvEventFlagsTest, EachRankHasItsOwnPorts) {
  const auto asked =
      options({R"({"enable_kv_cache_events": true, "replay_endpoint": "tcp://*:6000"})", false, 2});
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->publisher.endpoint, "tcp://*:5559");
  EXPECT_EQ(asked->publisher.replay_endpoint, "tcp://*:6002");
  EXPECT_EQ(asked->data_parallel_rank, 2u);
}

TEST_F(KvEventFlagsTest, TheTutorialsVariablesSendThemToItsManager) {
  setenv("VLLM_KV_EVENT_ENABLED", "true", 1);
  setenv("VLLM_KV_EVENT_ZMQ_ENDPOINT", "tcp://kv-cache-manager.llm-d-system:5555", 1);
  setenv("VLLM_KV_EVENT_INTERVAL_MS", "100", 1);
  const auto asked = options({"", false, 1});
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->publisher.endpoint, "tcp://kv-cache-manager.llm-d-system:5555");
  EXPECT_EQ(asked->publisher.topic, "kv@pod:8000@model");
  EXPECT_EQ(asked->interval, std::chrono::milliseconds(100));
  setenv("VLLM_KV_EVENT_ENABLED", "False", 1);
  EXPECT_FALSE(options({}));
}

TEST_F(KvEventFlagsTest, TheConfigSaysWhereEventsGoBeforeTheVariable) {
  setenv("VLLM_KV_EVENT_ZMQ_ENDPOINT", "tcp://manager:5555", 1);
  EXPECT_EQ(configured(R"({"enable_kv_cache_events": true, "endpoint": "tcp://*:1"})")
                ->publisher.endpoint,
            "tcp://*:1");
  EXPECT_EQ(configured(R"({"enable_kv_cache_events": true, "topic": "mine"})")->publisher.topic,
            "mine");
}

TEST_F(KvEventFlagsTest, WhatIsWrongIsNamed) {
  const struct {
    const char* json;
    const char* says;
  } cases[] = {
      {"7", "--kv-events-config: not a JSON object"},
      {"{", "--kv-events-config: not a JSON object"},
      {R"({"enable_kv_cache_events": 1})", "'enable_kv_cache_events' is neither true nor false"},
      {R"({"endpoint": 5557})", "'endpoint' is not a text"},
      {R"({"hwm": 0})", "'hwm' is not a whole number from 1"},
      {R"({"buffer_steps": 1e99})", "'buffer_steps' is not a whole number"},
      {R"({"max_queue_size": -1})", "'max_queue_size' is not a whole number"},
      {R"({"publisher": "kafka"})", "'publisher' is 'kafka'"},
      {R"({"end_point": ""})", "'end_point' is not one of its keys"},
      {R"({"enable_kv_cache_events": true, "endpoint": "tcp://*:99999"})",
       "--kv-events-config: 'endpoint': 'tcp://*:99999': its port"},
      {R"({"enable_kv_cache_events": true, "replay_endpoint": "tcp://*:65536"})",
       "--kv-events-config: 'replay_endpoint': 'tcp://*:65536': its port"},
      {R"({"enable_kv_cache_events": true, "endpoint": "*:19245"})",
       "--kv-events-config: 'endpoint': '*:19245': tcp:// is missing"},
  };
  for (const auto& test : cases) EXPECT_THAT(refusal_of(test.json), HasSubstr(test.says));
  EXPECT_THAT(
      refusal({R"({"enable_kv_cache_events": true, "endpoint": "ipc:///tmp/x"})", false, 1}),
      HasSubstr("--kv-events-config: 'endpoint': 'ipc:///tmp/x': rank 1"));
  setenv("VLLM_KV_EVENT_ENABLED", "perhaps", 1);
  EXPECT_THAT(refusal_of(""), HasSubstr("VLLM_KV_EVENT_ENABLED: 'perhaps'"));
  setenv("VLLM_KV_EVENT_ENABLED", "1", 1);
  setenv("VLLM_KV_EVENT_ZMQ_ENDPOINT", "tcp://manager:70000", 1);
  EXPECT_THAT(refusal_of(""), HasSubstr("VLLM_KV_EVENT_ZMQ_ENDPOINT: 'tcp://manager:70000'"));
  setenv("VLLM_KV_EVENT_INTERVAL_MS", "soon", 1);
  EXPECT_THAT(refusal_of(""), HasSubstr("VLLM_KV_EVENT_INTERVAL_MS: 'soon'"));
}

TEST_F(KvEventFlagsTest, WhyNothingIsPublishedIsSaid) {
  EXPECT_EQ(kv_events_are_off({}), "--kv-events-config, --enable-kv-events");
  EXPECT_EQ(kv_events_are_off({R"({"endpoint": "tcp://*:5557"})"}),
            "--kv-events-config lacks \"enable_kv_cache_events\": true");
  EXPECT_EQ(kv_events_are_off({R"({"enable_kv_cache_events": false})"}),
            "--kv-events-config, --enable-kv-events");
}

TEST_F(KvEventFlagsTest, WhatIsHardlyMeantIsSaid) {
  const auto warnings = [](const std::string& endpoint, bool prefix_caching) {
    KvEventWriterOptions asked;
    asked.publisher.endpoint = endpoint;
    asked.publisher.replay_endpoint = "tcp://0.0.0.0:5558";  // always listened on
    return kv_event_warnings(asked, prefix_caching);
  };
  EXPECT_THAT(warnings("tcp://0.0.0.0:23009", true),
              ElementsAre(AllOf(HasSubstr("tcp://0.0.0.0:23009 is connected to"),
                                HasSubstr("tcp://*:23009 is listened on"))));
  for (const char* endpoint :
       {"tcp://*:5557", "tcp://[::]:5557", "tcp://manager:5555", "ipc:///x"}) {
    EXPECT_THAT(warnings(endpoint, true), IsEmpty()) << endpoint;
  }
  EXPECT_THAT(warnings("tcp://*:5557", false), ElementsAre(HasSubstr("prefix caching is off")));
}

}  // namespace
}  // namespace kvasir
