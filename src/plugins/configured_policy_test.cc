// Policies made of plugins: the rules of configuration, and whole decisions.
#include "base/parameters.h"
#include "plugins/plugin_fixture.h"
#include "plugins/scorer/session_table.h"
#include "scheduling/decision_trace.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Configured : public PluginTest {};

// What is told of filters that leave nobody.
class ToldOfFilters final : public FilterProbe {
 public:
  void on_filter_left_nobody(const std::string& filter, bool first,
                             std::string_view why) override {
    told.push_back(filter + (first ? " first: " : " again: ") + std::string(why));
  }
  std::vector<std::string> told;
};

TEST_F(Configured, AFilterThatLeavesNobodyIsToldWithTheLabelThatIsMissing) {
  ToldOfFilters probe;
  options_.filter_probe = &probe;
  const auto made = policy(
      {{"by-backend", "label-selector-filter",
        parameters({{"matchLabels", parameters({{"zone", "a"}, {"backend", "nvlink"}})}})},
       {"", "queue-scorer"}});
  for (size_t i = 0; i < 3; ++i) label(i, "zone", "a");
  EXPECT_FALSE(pick(*made));
  EXPECT_FALSE(pick(*made));
  EXPECT_THAT(probe.told,
              ElementsAre("by-backend first: no endpoint carries the label backend",
                          "by-backend again: "));
  label(1, "backend", "nvlink");
  EXPECT_TRUE(pick(*made));
  EXPECT_EQ(probe.told.size(), 2u);
}

TEST_F(Configured, AFilterWhoseLabelIsThereWithOtherValuesIsToldWithoutAReason) {
  ToldOfFilters probe;
  options_.filter_probe = &probe;
  const auto made = policy({{"", "prefill-filter"}, {"", "decode-filter"}, {"", "queue-scorer"}});
  EXPECT_FALSE(pick(*made));
  for (size_t i = 0; i < 3; ++i) label(i, "llm-d.ai/role", "encode");
  EXPECT_FALSE(pick(*policy({{"", "decode-filter"}, {"", "queue-scorer"}})));
  EXPECT_THAT(probe.told,
              ElementsAre("prefill-filter first: no endpoint carries the label llm-d.ai/role",
                          "decode-filter first: "));
}

TEST_F(Configured, QueueAndMaxScorePickTheShortestQueue) {
  metrics(0).waiting = 10;
  metrics(1).waiting = 0;
  metrics(2).waiting = 5;
  const auto made = policy({{"", "queue-scorer"}, {"", "max-score-picker"}});
  const Decision decision = pick(*made).value();
  EXPECT_EQ(index_of(decision.endpoint), 1u);
  EXPECT_DOUBLE_EQ(decision.score, 1);
  EXPECT_EQ(decision.fallback_count, 0);
}

TEST_F(Configured, TiesTakeTurns) {
  const auto made = policy({{"", "queue-scorer"}});
  std::vector<uint32_t> picks;
  for (int i = 0; i < 6; ++i) picks.push_back(index_of(pick(*made)->endpoint));
  EXPECT_THAT(picks, ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST_F(Configured, FurtherEndpointsAreFallbacksBestFirst) {
  metrics(0).waiting = 10;
  metrics(2).waiting = 5;
  const auto made = policy(
      {{"", "queue-scorer"}, {"", "max-score-picker", parameters({{"maxNumOfEndpoints", 3}})}});
  const Decision decision = pick(*made).value();
  EXPECT_EQ(index_of(decision.endpoint), 1u);
  ASSERT_EQ(decision.fallback_count, 2);
  EXPECT_EQ(index_of(decision.fallbacks[0]), 2u);
  EXPECT_EQ(index_of(decision.fallbacks[1]), 0u);
}

TEST_F(Configured, ATraceTellsWhatEachPluginLeftAndGave) {
  label(2, "llm-d.ai/role", "prefill");
  metrics(0).waiting = 10;
  metrics(1).waiting = 0;
  const auto made = policy({{"", "decode-filter"}, {"short", "queue-scorer"}});
  DecisionTrace trace;
  trace.begin(3);
  request_.id = 1;
  made->pick(PickContext{request_, fleet_, candidates_, now_, &trace});
  ASSERT_EQ(trace.entries().size(), 3u);
  EXPECT_EQ(trace.entries()[0].step, DecisionTrace::Step::kFilter);
  EXPECT_EQ(trace.entries()[0].left, 2u);
  const DecisionTrace::Entry& scorer = trace.entries()[1];
  EXPECT_EQ(trace.labels()->plugins[scorer.plugin].name, "short");
  EXPECT_EQ(trace.labels()->plugins[scorer.plugin].type, "queue-scorer");
  EXPECT_EQ(trace.labels()->profiles[scorer.profile], "default");
  ASSERT_EQ(trace.scores(scorer).size(), 2u);
  EXPECT_DOUBLE_EQ(trace.scores(scorer)[1].score, 1);
  EXPECT_EQ(trace.entries()[2].step, DecisionTrace::Step::kPick);
  EXPECT_EQ(index_of(trace.totals()[0].endpoint), 1u);
}

TEST_F(Configured, ANewPolicyInheritsWhatIsInFlightCachedAndBound) {
  const std::vector<PluginConfig> plugins = {
      {"", "active-request-scorer"},
      {"", "prefix-cache-scorer"},
      {"", "session-affinity-filter", parameters({{"strategy", "session_id"}})}};
  const auto before = policy(plugins);
  const BlockHash blocks[] = {1, 2, 3};
  prompt(blocks);
  header("x-session-id", "s");
  const EndpointId first = pick(*before)->endpoint;
  const auto after = policy(plugins);
  after->inherit(*before);
  PoolKnowledge knowledge;  // as the scheduler does
  knowledge.share(before->prefix_indexes());
  knowledge.share(after->prefix_indexes());
  request_.prompt_tokens = 192;
  const Decision bound = pick(*after).value();
  EXPECT_EQ(bound.endpoint, first) << "the session stays";
  EXPECT_EQ(bound.cached_tokens, 192u);
  after->ended(2, now_);
  headers_.clear();
  request_.headers = {};
  request_.views = {};
  EXPECT_NE(pick(*after)->endpoint, first) << "request 1 is still in flight there";
  after->ended(1, now_);
}

TEST_F(Configured, ScoresOfOldMetricsCountLess) {
  options_.metrics_half_life = std::chrono::seconds(1);
  now_ = TimePoint(std::chrono::seconds(100));
  metrics(0).kv_usage = 0.0;  // the best, two half-lives ago: 0.5 + 0.5 / 4
  metrics(0).read_at = now_ - std::chrono::seconds(2);
  metrics(1).kv_usage = 0.25;  // now: 0.75
  metrics(1).read_at = now_;
  metrics(2).kv_usage = 1.0;  // the worst, long ago: says nothing
  metrics(2).read_at = now_ - std::chrono::seconds(90);
  const auto aging = policy({{"", "kv-cache-utilization-scorer"}});
  EXPECT_EQ(index_of(pick(*aging)->endpoint), 1u);
  candidates_ = {EndpointId(0)};
  EXPECT_DOUBLE_EQ(pick(*aging)->score, 0.625);
  candidates_ = {EndpointId(2)};
  EXPECT_NEAR(pick(*aging)->score, 0.5, 1e-6);
  options_.metrics_half_life = {};
  EXPECT_DOUBLE_EQ(pick(*policy({{"", "kv-cache-utilization-scorer"}}))->score, 0);
}

TEST_F(Configured, ErrorsNameThePluginAndTheLine) {
  EXPECT_THAT(policy_error({{{"", "queue-scorrer", {}, 12}}, {}}),
              HasSubstr("line 12: plugin 'queue-scorrer': unknown type 'queue-scorrer'; did you "
                        "mean 'queue-scorer'?"));
  EXPECT_THAT(policy_error({{{"x", "queue-scorer", {}, 3}, {"x", "queue-scorer", {}, 4}}, {}}),
              HasSubstr("line 4: plugin 'x': another plugin has this name"));
  EXPECT_THAT(policy_error({{{"", "max-score-picker", parameters({{"maxNum", 3}}), 3}}, {}}),
              HasSubstr("line 7: max-score-picker: unknown parameter 'maxNum'"));
  EXPECT_THAT(policy_error({{{"", "queue-scorer"}}, {{"p", {{"nobody", {}, 9}}, 8}}}),
              HasSubstr("line 9: profile 'p': no plugin is named 'nobody'"));
  EXPECT_THAT(policy_error({{{"", "queue-scorer"}}, {{"p", {}, 8}, {"q", {}, 9}}}),
              HasSubstr("single-profile-handler: there are 2 profiles"));
}

TEST_F(Configured, EveryProblemOfEveryPluginIsTold) {
  const std::string problems = policy_error(
      {{{"", "queue-scorrer", {}, 12},
        {"", "max-score-picker", parameters({{"maxNum", 3}, {"minNum", 3}}), 13},
        {"x", "queue-scorer", {}, 14},
        {"x", "queue-scorer", {}, 15},
        {"", "load-aware-scorer", parameters({{"threshold", "high"}}), 16}},
       {}});
  EXPECT_THAT(problems, HasSubstr("line 12: plugin 'queue-scorrer': unknown type"));
  EXPECT_THAT(problems, HasSubstr("\nline 7: max-score-picker: unknown parameter 'maxNum'"));
  EXPECT_THAT(problems, HasSubstr("\nline 7: max-score-picker: unknown parameter 'minNum'"));
  EXPECT_THAT(problems, HasSubstr("\nline 15: plugin 'x': another plugin has this name"));
  EXPECT_THAT(problems, HasSubstr("\nline 7: load-aware-scorer: threshold must be a whole number"));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 4) << problems;
}

TEST_F(Configured, AProblemIsToldOnceHoweverManyNeedThePlugin) {
  const Value producer = parameters({{"prefixMatchInfoProducerName", "cache"}});
  const std::string problems =
      policy_error({{{"a", "prefix-cache-scorer", producer, 3},
                     {"b", "no-hit-lru-scorer", producer, 4},
                     {"cache", "approx-prefix-cache-producer", parameters({{"bloks", 3}}), 5}},
                    {}});
  EXPECT_EQ(problems, "line 7: cache: unknown parameter 'bloks'");
}

TEST_F(Configured, TheProblemsOfEveryProfileAreTold) {
  const std::string problems = policy_error(
      {{{"", "queue-scorer"}, {"", "header-profile-handler"}},
       {{"p", {{"nobody", {}, 9}}, 8}, {"q", {{"queue-scorer", 1e300, 11}}, 10}}});
  EXPECT_THAT(problems, HasSubstr("line 9: profile 'p': no plugin is named 'nobody'"));
  EXPECT_THAT(problems, HasSubstr("\nline 11: profile 'q': the weight of 'queue-scorer'"));
}

// Gives endpoint i the score it is told, for clamping and abstaining.
class FixedScorer final : public Scorer {
 public:
  explicit FixedScorer(std::vector<double> scores) : scores_(std::move(scores)) {}
  void score(const Cycle&, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) scores[i] = scores_[index_of(candidates[i])];
  }

 private:
  const std::vector<double> scores_;
};

void register_fixed(Registry& registry, const char* type, std::vector<double> scores) {
  registry.add({type, [scores](auto, auto&, auto&) { return make_plugin<FixedScorer>(scores); }});
}

TEST_F(Configured, ScoresAreClampedAndNanAbstains) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  register_fixed(registry_, "one", {-.5, 1.5, nan});
  register_fixed(registry_, "two", {.25, .25, .5});
  const auto made = configured({{{"", "one"}, {"", "two"}}, {{"p", {{"one", 2}, {"two", 1}}}}});
  candidates_ = {EndpointId(0)};
  EXPECT_DOUBLE_EQ(pick(*made)->score, .25);
  candidates_ = {EndpointId(1)};
  EXPECT_DOUBLE_EQ(pick(*made)->score, 2.25);
  candidates_ = {EndpointId(2)};
  EXPECT_DOUBLE_EQ(pick(*made)->score, .5);
}

TEST_F(Configured, UpstreamsSchedulerVector) {
  request_.model = "critical";
  metrics(0) = {0, {}, .2, {}, {}, {}};
  metrics(1) = {0, {}, .2, {}, {}, {}};
  metrics(2) = {10, {}, .8, {}, {}, {}};
  details(0) = {{"foo", "bar"}, {}, 2, {}};
  details(1) = {{"foo", "critical"}, {}, 2, {}};
  details(2) = {{"foo"}, {}, 2, {}};
  const auto made = policy({{"", "kv-cache-utilization-scorer"},
                            {"", "queue-scorer"},
                            {"", "prefix-cache-scorer"},
                            {"", "lora-affinity-scorer"}});
  const Decision decision = pick(*made).value();
  EXPECT_EQ(index_of(decision.endpoint), 1u);
  EXPECT_DOUBLE_EQ(decision.score, 2.8);
}

TEST_F(Configured, FiltersThatLeaveNobodyRefuse) {
  const auto made = policy({{"", "prefill-filter"}});
  EXPECT_EQ(pick(*made), std::nullopt);
  EXPECT_EQ(pick(*made), std::nullopt) << "and nothing was booked";
}

TEST_F(Configured, ABurstSpreadsBecauseEachPickIsBooked) {
  const auto made = policy({{"", "active-request-scorer"}});
  std::vector<int> share(3);
  for (int i = 0; i < 9; ++i) ++share[index_of(pick(*made)->endpoint)];
  EXPECT_THAT(share, ElementsAre(3, 3, 3));
  for (RequestId id = 1; id <= 9; ++id) made->ended(id, now_);
  EXPECT_DOUBLE_EQ(pick(*made)->score, 1);
}

TEST_F(Configured, TokensGoAtTheFirstTokenAndRequestsAtTheEnd) {
  auto* loads = dynamic_cast<InflightLoads*>(make("inflight-load-producer", {}, false).value());
  const std::vector<ScoredEndpoint> chosen = {{EndpointId(1), 1}};
  const std::vector<ProfileResult> results = {{0, chosen, chosen}};
  request_.id = 7;
  request_.prompt_tokens = 100;
  loads->picked(cycle(), results);
  EXPECT_EQ(loads->loads()[1].requests, 1u);
  EXPECT_EQ(loads->loads()[1].tokens, 100u);
  loads->first_token(7, now_);
  EXPECT_EQ(loads->loads()[1].tokens, 0u);
  EXPECT_EQ(loads->loads()[1].requests, 1u);
  loads->ended(7, now_);
  EXPECT_EQ(loads->loads()[1].requests, 0u);
}

TEST_F(Configured, PrefixesComeBackToWhereTheyWere) {
  const auto made = policy({{"", "prefix-cache-scorer"}, {"", "queue-scorer"}});
  const BlockSizes views = made->prompt_views();
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(*views.begin(), kSixtyFourTokens);
  const std::vector<BlockHash> chain = {11, 12, 13, 14};
  prompt(std::span(chain).first(2));
  request_.prompt_tokens = 128;
  const Decision first = pick(*made).value();
  EXPECT_EQ(first.cached_tokens, 0u);
  prompt(chain);
  request_.prompt_tokens = 256;
  const Decision second = pick(*made).value();
  EXPECT_EQ(second.endpoint, first.endpoint);
  EXPECT_EQ(second.cached_tokens, 128u);
  EXPECT_DOUBLE_EQ(second.score, 1.5);
}

PluginConfig producer_of(const std::string& name, int block_tokens) {
  return {name, "approx-prefix-cache-producer", parameters({{"blockSizeTokens", block_tokens}})};
}

// A kind that nothing in the tree knows, without a type that is made by default.
class Weather : public Producer {
 public:
  static constexpr std::string_view kKind = "weather";
  virtual double sunshine() const = 0;
};
class Sunny final : public Weather {
 public:
  explicit Sunny(double sunshine) : sunshine_(sunshine) {}
  void produce(const Cycle&) override {}
  double sunshine() const override { return sunshine_; }

 private:
  const double sunshine_;
};
class WeatherScorer final : public Scorer {
 public:
  explicit WeatherScorer(const Weather& weather) : weather_(weather) {}
  void score(const Cycle&, std::span<const EndpointId>, std::span<double> scores) const override {
    std::fill(scores.begin(), scores.end(), weather_.sunshine());
  }

 private:
  const Weather& weather_;
};

class NewKind : public Configured {
 protected:
  NewKind() {
    PluginType producer{"sunny", [](auto, auto&, auto&) { return make_plugin<Sunny>(0.25); }};
    producer.offers = {Weather::kKind};
    registry_.add(producer);
    registry_.add({"weather-scorer", [](auto name, const Value& value, PluginContext& context) {
                     Parameters parameters(value, name);
                     const auto weather = context.find<Weather>(parameters.text("producer", ""));
                     return weather ? make_plugin<WeatherScorer>(**weather)
                                    : MadePlugin(weather.error());
                   }});
  }
  static PluginConfig scorer(const char* producer) {
    return {"", "weather-scorer", parameters({{"producer", producer}}), 7};
  }
};

TEST_F(NewKind, IsFoundWhereverItStandsAndByName) {
  EXPECT_EQ(pick(*policy({{"", "weather-scorer"}, {"", "sunny"}}))->score, 0.25);
  EXPECT_EQ(pick(*policy({{"a", "sunny"}, {"", "queue-scorer"}, scorer("a")}))->score, 0.25 + 1);
}

TEST_F(NewKind, WhoOffersWhatItReadsDoesNotFindItself) {
  PluginType half{"half", [](auto, auto&, PluginContext& context) {
                    const auto whole = context.find<Weather>("");
                    return whole ? make_plugin<Sunny>((*whole)->sunshine() / 2)
                                 : MadePlugin(whole.error());
                  }};
  half.offers = {Weather::kKind};
  registry_.add(half);
  EXPECT_EQ(pick(*policy({{"h", "half"}, {"s", "sunny"}, scorer("h")}))->score, 0.125);
  EXPECT_THAT(policy_error({{{"h", "half"}}, {}}),
              HasSubstr("h: needs a plugin that offers weather"));
}

TEST_F(NewKind, WhoAsksInVainIsToldWhatThereIs) {
  EXPECT_EQ(policy_error({{scorer(""), {"", "queue-scorer"}}, {}}),
            "line 7: weather-scorer: needs a plugin that offers weather; none that is configured "
            "offers weather, there are: 'queue-scorer'");
  EXPECT_EQ(policy_error({{scorer("")}, {}}),
            "line 7: weather-scorer: needs a plugin that offers weather; none that is configured "
            "offers weather, there are: no others");
  EXPECT_EQ(policy_error({{scorer("queue-scorer"), {"", "queue-scorer"}, {"a", "sunny"}}, {}}),
            "line 7: weather-scorer: plugin 'queue-scorer' does not offer weather; what offers "
            "weather is: 'a'");
  EXPECT_EQ(policy_error({{{"a", "sunny"}, {"b", "sunny"}, scorer("")}, {}}),
            "line 7: weather-scorer: several plugins offer weather: name one; what offers weather "
            "is: 'a' 'b'");
  EXPECT_EQ(policy_error({{{"a", "sunny"}, scorer("b")}, {}}),
            "line 7: weather-scorer: no plugin is named 'b'; what offers weather is: 'a'");
}

TEST_F(NewKind, OfManyNamesTheFirstAreTold) {
  std::vector<PluginConfig> plugins = {scorer("")};
  for (int i = 0; i < 20; ++i) plugins.push_back({"n" + std::to_string(i), "sunny"});
  EXPECT_THAT(policy_error({plugins, {}}), HasSubstr("'n6' 'n7' ..."));
}

TEST_F(Configured, ProducersOfTwoBlockSizesReadAViewEach) {
  const auto made = policy(
      {producer_of("small", 64),
       producer_of("large", 128),
       {"s", "prefix-cache-scorer", parameters({{"prefixMatchInfoProducerName", "small"}})},
       {"l", "prefix-cache-scorer", parameters({{"prefixMatchInfoProducerName", "large"}})}});
  const BlockSizes sizes = made->prompt_views();
  ASSERT_EQ(sizes.size(), 2u);
  // Of four small blocks the first three are known, and so is the first of two large ones.
  const std::vector<BlockHash> small = {1, 2, 3, 4};
  const std::vector<BlockHash> large = {11, 12};
  const std::vector<BlockHash> other_small = {1, 2, 3, 5};
  const std::vector<BlockHash> other_large = {11, 13};
  const PromptView first[] = {{sizes.begin()[0], small}, {sizes.begin()[1], large}};
  const PromptView second[] = {{sizes.begin()[0], other_small}, {sizes.begin()[1], other_large}};
  request_.prompt_tokens = 256;
  request_.views = first;
  const EndpointId endpoint = pick(*made)->endpoint;
  request_.views = second;
  const Decision decision = pick(*made).value();
  EXPECT_EQ(decision.endpoint, endpoint);
  EXPECT_DOUBLE_EQ(decision.score, 0.75 + 0.5);
}

TEST_F(Configured, ProducersOfOneBlockSizeShareOneIndex) {
  const auto made =
      policy({producer_of("a", 64),
              producer_of("b", 64),
              producer_of("c", 128),
              {"sa", "prefix-cache-scorer", parameters({{"prefixMatchInfoProducerName", "a"}})},
              {"sb", "prefix-cache-scorer", parameters({{"prefixMatchInfoProducerName", "b"}})}});
  EXPECT_EQ(made->prompt_views().size(), 2u);
  ASSERT_EQ(made->prefix_indexes().size(), 2u);
  const std::vector<BlockHash> chain = {1, 2, 3};
  prompt(chain);
  const EndpointId endpoint = pick(*made)->endpoint;
  EXPECT_DOUBLE_EQ(pick(*made)->score, 2);
  std::vector<uint32_t> matched(3);
  (*made->prefix_indexes()[0])->match({kSixtyFourTokens, chain}, candidates_, matched);
  EXPECT_EQ(matched[index_of(endpoint)], 3u);
  EXPECT_EQ((*made->prefix_indexes()[0])->size(), 3u);
}

TEST_F(Configured, MoreBlockSizesThanARequestCarriesAreRefused) {
  std::vector<PluginConfig> plugins;
  for (size_t i = 0; i <= kPromptViewsMost; ++i) {
    plugins.push_back(producer_of("p" + std::to_string(i), 64 + static_cast<int>(i)));
  }
  EXPECT_THAT(policy_error({plugins, {}}), HasSubstr("in blocks of more than 8 sizes"));
  plugins.pop_back();
  EXPECT_EQ(policy_error({plugins, {}}), "");
}

// Whose prompt was hashed before a reload: the new producer finds no view of its size, matches
// nothing and remembers nothing.
TEST_F(Configured, ARequestHashedForAnotherBlockSizeMatchesNothing) {
  const auto made = policy({producer_of("p", 128), {"", "prefix-cache-scorer"}});
  const std::vector<BlockHash> chain = {11, 12};
  request_.prompt_tokens = 128;
  for (int i = 0; i < 2; ++i) {
    prompt(chain);  // of 64 tokens
    EXPECT_EQ(pick(*made)->cached_tokens, 0u);
  }
  prompt(chain, {PromptUnit::kBytes, 512});
  EXPECT_EQ(pick(*made)->cached_tokens, 0u) << "nothing was remembered";
  EXPECT_EQ(pick(*made)->cached_tokens, 128u);
}

TEST_F(Configured, OnlyThePrefixesOfAReplacedEndpointAreForgotten) {
  const auto made = policy({{"", "prefix-cache-scorer"}, {"", "queue-scorer"}});
  const std::vector<BlockHash> chain = {11, 12};
  prompt(chain);
  request_.prompt_tokens = 128;
  const EndpointId first = pick(*made)->endpoint;
  made->endpoint_replaced(EndpointId((index_of(first) + 1) % 3));
  EXPECT_EQ(pick(*made)->cached_tokens, 128u);
  made->endpoint_replaced(first);
  EXPECT_EQ(pick(*made)->cached_tokens, 0u);
  for (RequestId id = 1; id <= last_id_; ++id) made->ended(id, now_);  // none is lost, none twice
}

TEST_F(Configured, PrefillGoesApartWhenTheDeciderSaysSo) {
  label(0, "llm-d.ai/role", "prefill");
  label(1, "llm-d.ai/role", "decode");
  label(2, "llm-d.ai/role", "decode");
  const SchedulingConfig config{
      {{"", "disagg-profile-handler",
        parameters({{"deciders", parameters({{"prefill", "prefix-based-pd-decider"}})}})},
       {"", "prefix-based-pd-decider", parameters({{"nonCachedTokens", 50}})},
       {"", "decode-filter"},
       {"", "prefill-filter"},
       {"", "active-request-scorer"}},
      {{"decode", {{"decode-filter"}, {"active-request-scorer"}}},
       {"prefill", {{"prefill-filter"}}}}};
  const auto made = configured(config);
  request_.prompt_tokens = 20;
  EXPECT_EQ(pick(*made)->prefill, std::nullopt);
  request_.prompt_tokens = 100;
  const Decision decision = pick(*made).value();
  EXPECT_NE(index_of(decision.endpoint), 0u);
  EXPECT_EQ(decision.prefill, EndpointId(0));
  candidates_.erase(candidates_.begin());
  EXPECT_EQ(pick(*made), std::nullopt) << "a prefill endpoint is needed and there is none";
}

TEST_F(Configured, TheHeaderNamesTheProfile) {
  const SchedulingConfig config{
      {{"", "header-profile-handler"}, {"", "queue-scorer"}, {"", "kv-cache-utilization-scorer"}},
      {{"decode", {{"queue-scorer"}}}, {"prefill", {{"kv-cache-utilization-scorer"}}}}};
  metrics(0).waiting = 5;
  metrics(1).waiting = 5;
  metrics(1).kv_usage = metrics(2).kv_usage = .5;
  const auto made = configured(config);
  EXPECT_EQ(index_of(pick(*made)->endpoint), 2u);
  header("epp-profile", "prefill");
  EXPECT_EQ(index_of(pick(*made)->endpoint), 0u);
  headers_.clear();
  header("epp-profile", "nonsense");
  EXPECT_EQ(pick(*made), std::nullopt);
}

TEST_F(Configured, WeightedRandomPicksByShareOfTheScores) {
  const std::vector<std::vector<double>> tables = {
      {.1, .9}, {.5, .5, .5}, {.3, 0}, {1, .9, .5, .3, .2}};
  for (size_t table = 0; table < tables.size(); ++table) {
    const std::vector<double>& weights = tables[table];
    resize(weights.size());
    const std::string type = "weights" + std::to_string(table);
    register_fixed(registry_, type.c_str(), weights);
    const auto made = policy({{"", type}, {"", "weighted-random-picker"}});
    std::vector<int> picks(weights.size());
    constexpr int kDraws = 10'000;
    for (int i = 0; i < kDraws; ++i) ++picks[index_of(pick(*made)->endpoint)];
    double total = 0;
    for (const double weight : weights) total += weight;
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(picks[i] / double{kDraws}, weights[i] / total, .05 * weights[i] / total + .01);
      EXPECT_TRUE(weights[i] > 0 || picks[i] == 0);
    }
  }
}

TEST_F(Configured, RandomPickerPicksEverybodyAlike) {
  const auto made = policy({{"", "random-picker", parameters({{"maxNumOfEndpoints", 2}})}});
  std::vector<int> picks(3);
  for (int i = 0; i < 9000; ++i) {
    const Decision decision = pick(*made).value();
    ++picks[index_of(decision.endpoint)];
    ASSERT_EQ(decision.fallback_count, 1);
    ASSERT_NE(decision.fallbacks[0], decision.endpoint);
  }
  EXPECT_THAT(picks, ::testing::Each(::testing::AllOf(::testing::Gt(2700), ::testing::Lt(3300))));
}

TEST_F(Configured, AlphaIsRefusedUnlessAllowedAndDeprecatedIsNoted) {
  options_.allow_alpha = false;
  EXPECT_THAT(
      policy_error({{{"", "topology-affinity-scorer", {}, 4}}, {}}),
      HasSubstr("line 4: plugin 'topology-affinity-scorer': type 'topology-affinity-scorer' "
                "is experimental"));
  const auto made =
      make_configured_policy(registry_, {{{"old", "by-label-selector", {}, 4}}, {}}, options_);
  ASSERT_TRUE(made);
  EXPECT_THAT(made->notes,
              ElementsAre("line 4: plugin 'old': type 'by-label-selector' is deprecated; use "
                          "label-selector-filter"));
}

TEST_F(Configured, OneHandlerOnePickerAndNoCircles) {
  EXPECT_THAT(policy_error(
                  {{{"", "single-profile-handler"}, {"two", "single-profile-handler", {}, 3}}, {}}),
              HasSubstr("line 3: plugin 'two': a second profile handler"));
  EXPECT_THAT(policy_error({{{"", "random-picker"}, {"", "max-score-picker"}},
                            {{"p", {{"random-picker", {}, 5}, {"max-score-picker", {}, 6}}}}}),
              HasSubstr("line 6: profile 'p': 'max-score-picker' is a second picker"));
  EXPECT_EQ(policy_error({{{"", "single-profile-handler"}, {"", "max-score-picker"}},
                          {{"p", {{"max-score-picker", {}, 5}}}}}),
            "");
}

TEST_F(Configured, EveryTypeIsMadeOrSaysWhyNot) {
  for (const std::string_view type : registry_.names()) {
    if (type.substr(0, 5) == "fake-") continue;
    const std::string error = error_of(std::string(type));
    if (error.empty()) continue;
    EXPECT_THAT(error, HasSubstr("line 5: " + std::string(type)));
  }
}

TEST_F(Configured, SessionsAreForgottenWhenTheyAreNotUsed) {
  SessionTable table(std::chrono::seconds(60));
  constexpr uint64_t kSessions = 1000;
  for (uint64_t session = 1; session <= kSessions; ++session) {
    table.bind(session, EndpointId(session % 3), now_);
  }
  EXPECT_EQ(table.size(), kSessions);
  now_ += std::chrono::seconds(40);
  for (uint64_t session = 2; session <= kSessions; session += 2) {
    table.bind(session, EndpointId(2), now_);
  }
  now_ += std::chrono::seconds(30);
  EXPECT_EQ(table.find(4, now_), EndpointId(2));
  EXPECT_EQ(table.find(5, now_), std::nullopt);
  table.bind(5000, EndpointId(0), now_);
  EXPECT_EQ(table.size(), kSessions / 2 + 1);
}

TEST(SessionTableOfAFleet, BindingsEndWhenTheSlotGetsAnotherOwner) {
  SessionTable table(std::chrono::seconds(60));
  const TimePoint now{};
  table.bind(1, EndpointId(0), now);
  table.bind(2, EndpointId(1), now);
  table.forget(EndpointId(0));
  EXPECT_EQ(table.find(1, now), std::nullopt);
  EXPECT_EQ(table.find(2, now), EndpointId(1));
  table.bind(1, EndpointId(0), now);
  EXPECT_EQ(table.find(1, now), EndpointId(0));
}

}  // namespace
}  // namespace kvasir
