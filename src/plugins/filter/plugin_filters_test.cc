// The filters, the deciders and the producers against upstream's own vectors.
#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Filters : public PluginTest {};

class HeaderBasedTestingFilterTest : public PluginTest {
 protected:
  HeaderBasedTestingFilterTest() : PluginTest(4) {
    for (size_t i = 0; i < 4; ++i) {
      edit(i).host = i < 3 ? "10.0.0." + std::to_string(i + 1) : "fd00::4";
      edit(i).port = 8000;
    }
  }
};

TEST_F(Filters, LabelSelectorNeedsEveryRequirement) {
  label(0, "backend", "nvlink");
  label(1, "backend", "tcp");
  EXPECT_THAT(kept("label-selector-filter"), ElementsAre(0, 1, 2)) << "an empty selector";
  EXPECT_THAT(
      kept("by-label-selector", parameters({{"matchLabels", parameters({{"backend", "nvlink"}})}})),
      ElementsAre(0));
  const auto expression = [](const char* holds, std::vector<Item> values) {
    return parameters(
        {{"matchExpressions",
          list({parameters(
              {{"key", "backend"}, {"operator", holds}, {"values", list(std::move(values))}})})}});
  };
  EXPECT_THAT(kept("label-selector-filter", expression("In", {"nvlink", "tcp"})),
              ElementsAre(0, 1));
  EXPECT_THAT(kept("label-selector-filter", expression("NotIn", {"nvlink"})), ElementsAre(1, 2));
  EXPECT_THAT(kept("label-selector-filter", expression("Exists", {})), ElementsAre(0, 1));
  EXPECT_THAT(kept("label-selector-filter", expression("DoesNotExist", {})), ElementsAre(2));
  EXPECT_THAT(error_of("label-selector-filter", expression("In", {})),
              HasSubstr("values must not be empty"));
}

TEST_F(Filters, RolesSelectByLabel) {
  const std::vector<std::string> roles = {"prefill",
                                          "decode",
                                          "both",
                                          "encode",
                                          "prefill-decode",
                                          "encode-prefill",
                                          "encode-prefill-decode"};
  resize(roles.size() + 1);
  for (size_t i = 0; i < roles.size(); ++i) label(i, "llm-d.ai/role", roles[i]);
  EXPECT_THAT(kept("decode-filter"), ElementsAre(1, 2, 4, 6, 7));
  EXPECT_THAT(kept("prefill-filter"), ElementsAre(0, 2, 4, 5, 6));
  EXPECT_THAT(kept("encode-filter"), ElementsAre(3, 5, 6));
  EXPECT_THAT(kept("by-label", parameters({{"label", "llm-d.ai/role"},
                                           {"validValues", list({"both"})},
                                           {"allowsNoLabel", true}})),
              ElementsAre(2, 7));
  EXPECT_THAT(error_of("by-label", parameters({{"label", "x"}})), HasSubstr("validValues"));
}

TEST_F(Filters, PrefixAffinityKeepsWhoHasThePrompt) {
  const auto with = [](std::vector<std::pair<std::string, Item>> items) {
    items.push_back({"peakPrefillThroughput", 1000});
    return parameters(std::move(items));
  };
  const char* kType = "prefix-cache-affinity-filter";
  data_.total_blocks = 100;
  data_.matched = {90, 85, 10};
  EXPECT_THAT(kept(kType), ElementsAre(0, 1));
  data_.loads[0].tokens = data_.loads[1].tokens = 500;  // 500 ms
  data_.loads[2].tokens = 50;
  EXPECT_THAT(kept(kType, with({{"maxTTFTPenaltyMs", 100}})), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept(kType, with({{"maxTTFTPenaltyMs", 1000}})), ElementsAre(0, 1));
  EXPECT_THAT(kept(kType, with({{"maxTTFTPenaltyMs", 0}})), ElementsAre(0, 1));
  EXPECT_THAT(kept(kType, with({{"explorationProbability", 1.0}})), ElementsAre(0, 1, 2));
  data_.matched = {50, 40, 10};
  EXPECT_THAT(kept(kType), ElementsAre(0, 1, 2));
  EXPECT_THAT(error_of(kType, with({{"ttftSource", "latencyPredictor"}})),
              HasSubstr("latency model"));
}

TEST_F(Filters, UtilizationNeedsEveryCondition) {
  metrics(0).waiting = 3;
  metrics(1).kv_usage = .95;
  data_.loads[2].requests = 4;
  const auto limit = [](const char* metric, double most) {
    return parameters({{"metric", metric}, {"maxValue", most}});
  };
  EXPECT_THAT(kept("utilization-filter",
                   parameters({{"conditions", list({limit("waiting-queue", 2),
                                                    limit("kv-cache-utilization", .9)})}})),
              ElementsAre(2));
  const auto all_full = list(
      {limit("waiting-queue", 2), limit("kv-cache-utilization", .9), limit("active-requests", 3)});
  EXPECT_THAT(kept("utilization-filter", parameters({{"conditions", all_full}})), IsEmpty());
  EXPECT_THAT(
      kept("utilization-filter", parameters({{"conditions", all_full}, {"fallbackOnEmpty", true}})),
      ElementsAre(0, 1, 2));
  EXPECT_THAT(error_of("utilization-filter"), HasSubstr("conditions"));
}

TEST_F(Filters, EndpointAttributeComparesToAThreshold) {
  details(0).attributes["heat"] = 1;
  details(1).attributes["heat"] = 2;
  const auto with = [](const char* compare, const char* missing) {
    return parameters(
        {{"attribute", "heat"},
         {"onMissing", missing},
         {"algorithm",
          parameters({{"type", "threshold"},
                      {"threshold", parameters({{"operator", compare}, {"value", 1}})}})}});
  };
  EXPECT_THAT(kept("endpoint-attribute-filter", with("LessThanOrEqual", "Pass")),
              ElementsAre(0, 2));
  EXPECT_THAT(kept("endpoint-attribute-filter", with("GreaterThan", "Fail")), ElementsAre(1));
  EXPECT_THAT(kept("endpoint-attribute-filter", with("NotEqual", "Fail")), ElementsAre(1));
}

TEST_F(Filters, WhatIsWrongInNestedParametersIsToldAtOnce) {
  const Value about = parameters({{"operator", "About"}, {"walue", 1}});
  const Value sources = list({parameters({{"haeder", "x"}}), parameters({{"attribute", "mood"}})});
  const struct {
    const char* type;
    Value value;
    std::vector<std::string> parts;
  } cases[] = {
      {"endpoint-attribute-filter",
       parameters({{"onMissing", "Perhaps"},
                   {"algorithm", parameters({{"type", "treshold"}, {"threshold", about}})}}),
       {"onMissing is", "attribute is missing", "type is", "operator is", "'walue'"}},
      {"label-selector-filter",
       parameters({{"matchLables", 1},
                   {"matchLabels", parameters({{"zone", 7}})},
                   {"matchExpressions", list({about, parameters({{"key", "k"}})})}}),
       {"'matchLables'", "zone must be", "operator is", "key is missing", "'walue'",
        "values must not be empty"}},
      {"label-selector-filter",
       parameters({{"matchLabels", 1}, {"matchExpressions", list({about})}}),
       {"matchLabels must be a map", "operator is"}},
      {"session-affinity-filter",
       parameters(
           {{"strategy", "session"},
            {"stickyness", 1},
            {"encodedEndpointHeaderConfig", parameters({{"header", 1}})},
            {"sessionIdConfig", parameters({{"evictionTtlSeconds", 0}, {"sources", sources}})},
            {"profileName", "nobody"}}),
       {"strategy is", "'stickyness'", "header must be", "evictionTtlSeconds", "'haeder'",
        "'mood' is published by no plugin", "names no profile"}},
      {"utilization-filter",
       parameters({{"fallback", 1},
                   {"conditions", list({parameters({{"metric", "heat"}, {"maxValue", 1}}),
                                        parameters({{"metric", "waiting-queue"}})})}}),
       {"'fallback'", "metric is", "maxValue is missing"}},
      {"disagg-profile-handler",
       parameters({{"stageOrder", "decode-last"},
                   {"profiles", parameters({{"decoder", "x"}})},
                   {"deciders", parameters({{"prefil", "x"}})}}),
       {"stageOrder is", "'decoder'", "'prefil'"}},
  };
  for (const auto& one : cases) {
    const std::string told = error_of(one.type, one.value);
    for (const std::string& part : one.parts) EXPECT_THAT(told, HasSubstr(part)) << one.type;
  }
}

TEST_F(Filters, PrefixBasedDeciderWeighsWhatIsNotCached) {
  struct Row {
    uint32_t cached, non_cached, prompt;
    bool apart;
  };
  request_.prompt_tokens = 10;
  data_.total_blocks = 10;
  for (const Row& row :
       {Row{0, 0, 0, false}, Row{8, 5, 0, false}, Row{5, 5, 0, true}, Row{2, 3, 0, true},
        Row{10, 1, 0, false}, Row{0, 5, 0, true}, Row{0, 5, 20, false}}) {
    data_.matched = {row.cached, 0, 0};
    const Plugin* plugin = make("prefix-based-pd-decider",
                                parameters({{"nonCachedTokens", static_cast<int>(row.non_cached)},
                                            {"promptTokens", static_cast<int>(row.prompt)}}))
                               .value();
    const auto& decider = dynamic_cast<const StageDecider&>(*plugin);
    EXPECT_EQ(decider.separate(cycle(), EndpointId(0)), row.apart)
        << row.cached << " cached, " << row.non_cached << " wanted";
    EXPECT_FALSE(decider.separate(cycle(), std::nullopt));
  }
  EXPECT_THAT(error_of("prefix-based-pd-decider", parameters({{"nonCachedTokens", -1}})),
              HasSubstr("nonCachedTokens must be from 0"));
}

TEST_F(Filters, APrefixBasedDeciderThatNeverDecidesIsTold) {
  for (const Value& never : {Value(), parameters({{"nonCachedTokens", 0}})}) {
    ASSERT_TRUE(make("prefix-based-pd-decider", never).ok());
    EXPECT_THAT(notes(), ElementsAre(HasSubstr("nonCachedTokens is 0")));
  }
  ASSERT_TRUE(make("prefix-based-pd-decider", parameters({{"nonCachedTokens", 1}})).ok());
  EXPECT_THAT(notes(), IsEmpty());
}

TEST_F(Filters, RefusedTypesSayWhy) {
  EXPECT_THAT(error_of("latency-scorer"), HasSubstr("trained latency model"));
  EXPECT_THAT(error_of("request-attribute-reporter"), HasSubstr("CEL"));
  EXPECT_THAT(error_of("mm-embeddings-cache-scorer"), HasSubstr("images"));
}

TEST_F(Filters, SessionProducerReadsHeaderOrCookie) {
  header("cookie", "a=1; session=xyz; b=2");
  auto* producer = dynamic_cast<SessionIds*>(
      make("session-id-producer", parameters({{"cookieName", "session"}})).value());
  producer->produce(cycle());
  EXPECT_EQ(producer->session(), "xyz");
  headers_.clear();
  request_.headers = headers_;
  producer->produce(cycle());
  EXPECT_EQ(producer->session(), std::nullopt);
  header("x-session-id", " s1 ");
  producer = dynamic_cast<SessionIds*>(make("session-id-producer").value());
  producer->produce(cycle());
  EXPECT_EQ(producer->session(), "s1");
}

TEST_F(HeaderBasedTestingFilterTest, KeepsWhomTheHeaderNamesInItsOrder) {
  const struct {
    const char* header;
    std::vector<uint32_t> kept;
  } cases[] = {
      {"", {}},
      {"10.0.0.2", {1}},
      {" 10.0.0.3 ,, 10.0.0.1 ", {2, 0}},
      {"10.0.0.2:8000", {1}},
      {"10.0.0.2:8001", {}},
      {"10.0.0.2:nonsense", {}},
      {"10.0.0.2:8000,10.0.0.2", {1}},
      {"fd00::4", {3}},
      {"[fd00::4]", {3}},
      {"[fd00::4]:8000", {3}},
      {"[fd00::4]:8001", {}},
      {"10.0.0.9", {}},
  };
  for (const auto& one : cases) {
    headers_.clear();
    header("test-epp-endpoint-selection", one.header);
    EXPECT_EQ(kept("header-based-testing-filter"), one.kept) << one.header;
  }
}

}  // namespace
}  // namespace kvasir
