#include "apps/kv_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

EndReport answered(const Endpoint& endpoint, std::optional<uint32_t> predicted,
                   std::optional<uint32_t> cached) {
  EndReport report;
  report.endpoint = &endpoint;
  report.status = 200;
  report.predicted_cached_tokens = predicted;
  report.cached_tokens = cached;
  return report;
}

TEST(KvPredictionSeries, ComparesWhatWasKnownWithWhatTheEngineFound) {
  MetricRegistry registry;
  KvPredictionSeries series(registry);
  const Endpoint a{"a", "10.0.0.1", 8000, {}};
  series.ended(answered(a, 64, 64));
  series.ended(answered(a, 64, 16));
  series.ended(answered(a, 0, 32));
  series.ended(answered(a, std::nullopt, 1000));  // guessed
  series.ended(answered(a, 1000, std::nullopt));  // the engine does not say
  EndReport failed = answered(a, 1000, 1000);
  failed.status = 500;
  series.ended(failed);
  const std::string page = registry.expose();
  for (const char* line : {"kvasir_kv_predicted_cached_tokens_total{pod=\"a\"} 128\n",
                           "kvasir_kv_actual_cached_tokens_total{pod=\"a\"} 112\n",
                           "kvasir_kv_predictions_total{pod=\"a\",found=\"equal\"} 1\n",
                           "kvasir_kv_predictions_total{pod=\"a\",found=\"less\"} 1\n",
                           "kvasir_kv_predictions_total{pod=\"a\",found=\"more\"} 1\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(TokenSeries, CountsByWhereAndWhy) {
  MetricRegistry registry;
  TokenSeries series(registry);
  EXPECT_EQ(registry.expose(), "") << "nothing without requests whose tokens were looked for";
  Tokens known;
  known.ids = std::make_shared<const std::vector<uint32_t>>();
  series.found(known);
  series.found(known);
  Tokens unknown;
  unknown.why = TokensUnknown::kDeadline;
  series.found(unknown);
  EXPECT_THAT(registry.expose(), HasSubstr("kvasir_prompt_tokens_known_total{from=\"" +
                                           std::string(label_of(TokenOrigin::kBody)) + "\"} 2\n"));
  EXPECT_THAT(registry.expose(),
              HasSubstr("kvasir_prompt_tokens_unknown_total{why=\"" +
                        std::string(label_of(TokensUnknown::kDeadline)) + "\"} 1\n"));
}

TEST(KvPage, SaysTheStateOfEachCache) {
  KvStatistics statistics;
  KvSourceStatistics source;
  source.name = "a";
  source.freshness = KvFreshness::kStale;
  source.blocks = 7;
  statistics.caches.sources.push_back(source);
  std::string page = kv_page(statistics);
  EXPECT_THAT(page, HasSubstr("kvasir_kv_knowledge{pod=\"a\",rank=\"0\",state=\"stale\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("kvasir_kv_knowledge{pod=\"a\",rank=\"0\",state=\"exact\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("kvasir_kv_blocks{pod=\"a\",rank=\"0\"} 7\n"));
  EXPECT_THAT(page, Not(HasSubstr("llm_d_epp_kv_cache")));
  statistics.feed.emplace();
  statistics.feed->sources.emplace_back();
  statistics.feed->sources[0].name = "a";
  statistics.feed->sources[0].connections = 3;
  statistics.feed->faulty_messages = 2;
  statistics.feed->sources[0].errors[static_cast<size_t>(KvFeedOperation::kFrames)] = 5;
  page = kv_page(statistics);
  EXPECT_THAT(page, HasSubstr("llm_d_epp_kv_cache_events_active_subscribers "));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_kv_cache_events_subscriber_reconnections_total"
                              "{pod_identifier=\"a\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("kvasir_kv_unreadable_messages_total 7\n"));
}

TEST(KvNewsText, NamesTheEndpointAndTheReason) {
  const Endpoint a{"a", "10.0.0.1", 8000, {}};
  EXPECT_EQ(kv_news_text(a, 0, KvNews::kHeard, ""), "KV events of a are heard");
  EXPECT_EQ(kv_news_text(a, 0, KvNews::kHeard, "no replays"),
            "KV events of a are heard: no replays");
  EXPECT_THAT(kv_news_text(a, 1, KvNews::kNoEvents, "tcp://10.0.0.1:5557"),
              HasSubstr("something answers at tcp://10.0.0.1:5557, but it does not publish"));
  EXPECT_TRUE(is_warning(KvNews::kNoEvents));
  EXPECT_THAT(kv_news_text(a, 2, KvNews::kLost, "a gap of 3"),
              HasSubstr("KV events of a rank 2 were lost"));
  EXPECT_THAT(kv_news_text(a, 2, KvNews::kLost, "a gap of 3"), HasSubstr(": a gap of 3"));
  EXPECT_TRUE(is_warning(KvNews::kLost));
  EXPECT_THAT(kv_news_text(a, 2, KvNews::kLost, "a gap of 3"),
              HasSubstr("its cache is guessed until they are made up for"));
  EXPECT_FALSE(is_warning(KvNews::kRecovered));
  EXPECT_THAT(kv_news_text(a, 0, KvNews::kIncomplete, "3 batches were sent again"),
              HasSubstr("what it holds from before is not known until its cache is emptied"));
  EXPECT_TRUE(is_warning(KvNews::kGivenUp));
  EXPECT_EQ(kv_news_text(a, 0, KvNews::kUnreadable, "it has one frame"),
            "a message of a is no KV events, and left out: it has one frame");
  EXPECT_TRUE(is_warning(KvNews::kUnreadable));
  EXPECT_THAT(kv_news_text(a, 1, KvNews::kUnreached, "tcp://10.0.0.1:5557"),
              HasSubstr("nobody answers at tcp://10.0.0.1:5557 for the KV events of a rank 1"));
  EXPECT_TRUE(is_warning(KvNews::kUnreached));
  EXPECT_EQ(kv_news_text(a, 0, KvNews::kUnusable, "tokens in pairs"),
            "none of the KV events of a can be used, its cache is guessed: tokens in pairs");
  EXPECT_TRUE(is_warning(KvNews::kUnusable));
}

}  // namespace
}  // namespace kvasir
