#include "plugins/producer/precise_prefix_cache_producer.h"

#include <array>

#include "plugins/plugin_fixture.h"
#include "scheduling/decision_trace.h"

namespace kvasir {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PrecisePrefixCache : public PluginTest {
 protected:
  PrecisePrefixCache() {
    request_.prompt_tokens = 100;
    request_.prompt_bytes = 1024;
    prompt(hashes_);
  }

  // What the engines say: of endpoint i, so many tokens in blocks of 16; nullopt: nothing.
  void say(std::vector<std::optional<uint32_t>> tokens) {
    cached_.clear();
    for (const auto& known : tokens) {
      cached_.push_back({known.has_value(), known.value_or(0), known.value_or(0), 16});
    }
    request_.cached = cached_;
  }
  std::unique_ptr<Policy> scoring(Value value = {}) {
    return policy({{"precise", "precise-prefix-cache-producer", std::move(value), 5},
                   {"score", "prefix-cache-scorer",
                    parameters({{"prefixMatchInfoProducerName", "precise"}}), 6}});
  }
  std::vector<double> totals(Policy& policy) {
    ManualClock clock;
    DecisionTrace trace(clock);
    request_.id = ++last_id_;
    decision_ = policy.pick(PickContext{request_, fleet_, candidates_, now_, &trace}).value();
    std::vector<double> scores(fleet_.endpoints.size());
    for (const ScoredEndpoint& one : trace.totals()) scores[index_of(one.endpoint)] = one.score;
    return scores;
  }

  const std::array<BlockHash, 4> hashes_ = {1, 2, 3, 4};
  std::vector<CachedPrefix> cached_;
  Decision decision_;
};

TEST_F(PrecisePrefixCache, WhatEnginesSayCounts) {
  const auto policy = scoring();
  say({48, 96, 0});
  EXPECT_THAT(totals(*policy), ElementsAre(0.5, 1, 0));
  EXPECT_EQ(decision_.endpoint, EndpointId(1));
  EXPECT_EQ(decision_.cached_tokens, 96u);
  EXPECT_TRUE(decision_.cached_exactly);
}

TEST_F(PrecisePrefixCache, WhereNothingIsKnownTheMatchIsGuessed) {
  const auto policy = scoring();
  candidates_ = {EndpointId(2)};
  totals(*policy);  // so the whole prompt was sent to the third
  candidates_ = {EndpointId(0), EndpointId(1), EndpointId(2)};
  say({48, std::nullopt, std::nullopt});
  EXPECT_THAT(totals(*policy), ElementsAre(0.5, 0, 1));
  EXPECT_FALSE(decision_.cached_exactly);
  say({48, std::nullopt, 16});
  EXPECT_EQ(totals(*policy)[2], 16 / 96.0) << "the third forgot it, as its engine says";
  request_.cached = {};
  EXPECT_EQ(totals(*policy)[2], 1) << "nothing is known any more";
}

TEST_F(PrecisePrefixCache, WhatIsKnownIsRememberedForLater) {
  const auto policy = scoring();
  say({96, 0, 0});
  totals(*policy);
  request_.cached = {};
  EXPECT_EQ(totals(*policy)[0], 1);
}

TEST_F(PrecisePrefixCache, GuessingCanBeTurnedOff) {
  const auto policy = scoring(parameters({{"guessWhenUnknown", false}}));
  totals(*policy);
  EXPECT_THAT(totals(*policy), ElementsAre(0, 0, 0));
  say({std::nullopt, 96, std::nullopt});
  EXPECT_THAT(totals(*policy), ElementsAre(0, 1, 0));
}

TEST_F(PrecisePrefixCache, TokensOfSlowerTiersCountLess) {
  say({96, 96, 0});
  cached_[1].gpu_tokens = 48;
  EXPECT_DOUBLE_EQ(totals(*scoring())[1], (48 + 0.8 * 48) / 96);
  const Value weights = list({parameters({{"name", "gpu"}, {"weight", 0.5}}),
                              parameters({{"name", "cpu"}, {"weight", 0.25}})});
  const auto weighted =
      scoring(parameters({{"indexerConfig", parameters({{"kvCacheBackendConfigs", weights}})}}));
  EXPECT_DOUBLE_EQ(totals(*weighted)[0], 0.5);
  EXPECT_DOUBLE_EQ(totals(*weighted)[1], (0.5 * 48 + 0.25 * 48) / 96);
}

TEST_F(PrecisePrefixCache, TheEngineAlwaysComputesTheLastToken) {
  const auto policy = scoring();
  struct Case {
    uint32_t prompt, held, used;
  };
  for (const Case& one : {Case{96, 96, 80}, {97, 96, 96}, {16, 16, 0}, {1, 0, 0}, {0, 0, 0}}) {
    request_.prompt_tokens = one.prompt;
    say({one.held, 0, 0});
    candidates_ = {EndpointId(0)};
    pick(*policy);
    totals(*policy);
    EXPECT_EQ(decision_.cached_tokens, one.used) << one.prompt;
  }
}

TEST_F(PrecisePrefixCache, TheApproximateProducerUsesWhatIsKnownToo) {
  const auto approx = policy({{"", "prefix-cache-scorer"}});
  say({0, 48, std::nullopt});
  EXPECT_EQ(totals(*approx)[1], 0.5);
  EXPECT_EQ(decision_.cached_tokens, 48u);
}

TEST_F(PrecisePrefixCache, TheOldScorerHasAProducerOfItsOwnOrUsesAnother) {
  say({48, 96, 0});
  const auto alone = policy({{"", "precise-prefix-cache-scorer"}});
  EXPECT_THAT(totals(*alone), ElementsAre(0.5, 1, 0));
  EXPECT_TRUE(alone->wanted_knowledge().caches);

  SchedulingConfig both;
  both.plugins = {{"old", "precise-prefix-cache-scorer",
                   parameters({{"kvEventsConfig", parameters({{"topicFilter", "mine"}})}}), 5},
                  {"precise", "precise-prefix-cache-producer", {}, 6}};
  const auto made = make_configured_policy(registry_, both, options_).value();
  EXPECT_THAT(totals(*made.policy), ElementsAre(0.5, 1, 0));
  EXPECT_EQ(made.policy->wanted_knowledge().caches->topic, "");
  EXPECT_THAT(made.notes, Contains(HasSubstr("those of precise-prefix-cache-producer count")));
}

TEST_F(PrecisePrefixCache, ItSaysWhereTheEventsAre) {
  EXPECT_FALSE(policy({{"", "prefix-cache-scorer"}})->wanted_knowledge().caches);
  const WantedKnowledge plain = scoring()->wanted_knowledge();
  ASSERT_TRUE(plain.caches);
  EXPECT_TRUE(plain.caches->by_endpoint);
  EXPECT_EQ(plain.caches->port, 5557);
  EXPECT_FALSE(plain.caches->replay_port);
  EXPECT_EQ(plain.expected_lifetime, Duration::zero());

  const Value events = parameters(
      {{"topicFilter", "kv@"},
       {"zmqEndpoint", "tcp://0.0.0.0:5555"},
       {"engineType", "sglang"},
       {"podDiscoveryConfig", parameters({{"socketPort", 6000}, {"replaySocketPort", 6001}})}});
  const WantedKnowledge all = scoring(parameters({{"kvEventsConfig", events},
                                                  {"speculativeIndexing", true},
                                                  {"speculativeTTL", "5s"}}))
                                  ->wanted_knowledge();
  ASSERT_TRUE(all.caches);
  EXPECT_EQ(all.caches->topic, "kv@");
  EXPECT_EQ(all.caches->bind, "tcp://0.0.0.0:5555");
  EXPECT_EQ(all.caches->port, 6000);
  EXPECT_EQ(all.caches->replay_port, 6001);
  EXPECT_EQ(all.expected_lifetime, std::chrono::seconds(5));

  const Value none = parameters({{"kvEventsConfig", parameters({{"discoverPods", false}})}});
  EXPECT_FALSE(scoring(none)->wanted_knowledge().caches) << "somebody else has to say where";
}

TEST_F(PrecisePrefixCache, WhatHasNoEffectIsTold) {
  const auto notes_of = [&](const char* section, Value value) {
    SchedulingConfig config;
    config.plugins = {
        {"p", "precise-prefix-cache-producer", parameters({{section, Item(std::move(value))}}), 5}};
    return make_configured_policy(registry_, config, options_).value().notes;
  };
  EXPECT_THAT(notes_of("tokenProcessorConfig", parameters({{"blockSize", 64}, {"hashSeed", "42"}})),
              ElementsAre(HasSubstr("blockSize has no effect here"),
                          HasSubstr("hashSeed has no effect here")));
  const Value index = parameters({{"kvBlockIndexConfig", parameters({{"enableMetrics", true}})}});
  EXPECT_THAT(notes_of("indexerConfig", index),
              ElementsAre(HasSubstr("enableMetrics has no effect here")));
  // As older releases of llm-d have it, and files that were written for them.
  const Value older =
      parameters({{"tokenProcessorConfig", parameters({{"blockSize", 64}, {"hashSeed", "42"}})},
                  {"prefixStoreConfig", parameters({{"blockSize", 16}})}});
  EXPECT_THAT(notes_of("indexerConfig", older),
              ElementsAre(HasSubstr("blockSize has no effect here"),
                          HasSubstr("hashSeed has no effect here"),
                          HasSubstr("prefixStoreConfig has no effect here")));
  const Value pods = parameters(
      {{"podDiscoveryConfig", parameters({{"podLabelSelector", "a=b"}})}, {"concurrency", 4}});
  EXPECT_THAT(notes_of("kvEventsConfig", pods),
              ElementsAre(HasSubstr("concurrency has no effect here"),
                          HasSubstr("podLabelSelector has no effect here")));
  EXPECT_THAT(notes_of("kvEventsConfig", parameters({{"topicFilter", "kv@"}})), IsEmpty());
}

TEST_F(PrecisePrefixCache, WrongParametersAreNamed) {
  const std::string type = "precise-prefix-cache-producer";
  const auto nested = [&](const char* section, std::vector<std::pair<std::string, Item>> items) {
    return error_of(type, parameters({{section, parameters(std::move(items))}}));
  };
  EXPECT_THAT(error_of(type, parameters({{"speculativeTTL", "0s"}})), HasSubstr("speculativeTTL"));
  EXPECT_THAT(error_of(type, parameters({{"kvEventConfig", 1}})), HasSubstr("'kvEventsConfig'"));
  EXPECT_THAT(error_of(type, parameters({{"kvEventsConfig", 1}})), HasSubstr("must be a map"));
  EXPECT_THAT(nested("kvEventsConfig", {{"engineType", "trt"}}),
              HasSubstr("engineType is 'trt' but must be"));
  EXPECT_THAT(nested("kvEventsConfig", {{"podDiscoveryConfig", parameters({{"socketPort", 0}})}}),
              HasSubstr("socketPort"));
  EXPECT_THAT(nested("indexerConfig", {{"tokenizersPoolConfig", parameters({})}}),
              HasSubstr("configure a token-producer"));
  EXPECT_THAT(nested("indexerConfig", {{"kvCacheBackendConfigs", 1}}), HasSubstr("must be a list"));
  EXPECT_THAT(
      error_of(
          "precise-prefix-cache-scorer",
          parameters({{"indexerConfig", parameters({{"tokenizersPoolConfig", parameters({})}})}})),
      IsEmpty());
}

}  // namespace
}  // namespace kvasir
