#include "apps/kv_series.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "net/http/http_status.h"

namespace kvasir {
namespace {

constexpr std::pair<KvFreshness, const char*> kStates[] = {{KvFreshness::kNothingYet, "nothing"},
                                                           {KvFreshness::kUnusable, "unusable"},
                                                           {KvFreshness::kIncomplete, "incomplete"},
                                                           {KvFreshness::kExact, "exact"},
                                                           {KvFreshness::kStale, "stale"}};

// To the bound address, and of sources.
uint64_t unreadable_messages(const KvEventFeedStatistics& feed) {
  uint64_t messages = feed.faulty_messages;
  for (const KvFeedSourceStatistics& source : feed.sources) {
    messages += source.errors[static_cast<size_t>(KvFeedOperation::kFrames)];
  }
  return messages;
}

void add_source(MetricRegistry& page, const KvSourceStatistics& source) {
  const Labels labels = {{"pod", source.name}, {"rank", std::to_string(source.rank)}};
  for (const auto& [freshness, name] : kStates) {
    Labels state = labels;
    state.emplace_back("state", name);
    page.gauge("kvasir_kv_knowledge",
               "What is known of the endpoint's KV cache: 1 for the state it is in.", state)
        .set(source.freshness == freshness ? 1 : 0);
  }
  page.gauge("kvasir_kv_blocks", "Blocks that the endpoint's KV cache is known to hold.", labels)
      .set(static_cast<double>(source.blocks));
  const auto count = [&](const char* what, uint64_t number) {
    Labels of = labels;
    of.emplace_back("event", what);
    page.counter("kvasir_kv_event_blocks_total", "Blocks that KV events told of; clears are times.",
                 of)
        .add(number);
  };
  count("stored", source.stored);
  count("removed", source.removed);
  count("cleared", source.cleared);
  page.counter("kvasir_kv_events_skipped_total", "KV events that could not be used.", labels)
      .add(source.skipped);
  page.counter("kvasir_kv_orphans_total", "KV events that waited for their parent in vain.", labels)
      .add(source.unknown_parent);
}

void add_index(MetricRegistry& page, const CacheTrackerStatistics& caches) {
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    page.gauge(name, help).set(static_cast<double>(value));
  };
  gauge("kvasir_kv_index_blocks", "Different blocks in the index of KV caches.",
        caches.distinct_blocks);
  gauge("kvasir_kv_index_memberships", "Blocks in the index, counted for each cache that has them.",
        caches.memberships);
  gauge("kvasir_kv_index_bytes", "Memory of the index of KV caches.", caches.memory_bytes);
  gauge("kvasir_kv_orphan_bytes", "Memory of KV events that wait for their parent.",
        caches.orphan_bytes);
  page.counter("kvasir_kv_index_full_total",
               "KV events that were not taken whole, for lack of memory (--kv-index-memory).")
      .add(caches.full);
}

void add_feed_source(MetricRegistry& page, const KvFeedSourceStatistics& source) {
  const Labels labels = {{"pod", source.name}, {"rank", std::to_string(source.rank)}};
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    page.counter(name, help, labels).add(value);
  };
  page.gauge("kvasir_kv_connected", "Whether the endpoint's event socket is connected.", labels)
      .set(source.connected ? 1 : 0);
  page.gauge("kvasir_kv_silence_seconds",
             "Since the endpoint's last live message, or since it was added.", labels)
      .set(to_seconds(source.silence));
  counter("kvasir_kv_batches_total", "Batches of KV events that were used.", source.batches);
  counter("kvasir_kv_lost_batches_total", "Batches that were never heard.", source.lost_batches);
  counter("kvasir_kv_gaps_total", "Gaps in the numbers of batches.", source.gaps);
  counter("kvasir_kv_replayed_batches_total", "Batches that were asked for again and came.",
          source.replayed_batches);
  counter("kvasir_kv_failed_replays_total", "Replays that did not bring all that was lost.",
          source.replays_failed);
  counter("kvasir_kv_restarts_total", "Times that the endpoint's engine began anew.",
          source.restarts);
  const Labels pod = {{"pod_identifier", source.name}};
  page.counter("llm_d_epp_kv_cache_events_subscriber_reconnections_total",
               "Connections to an engine's event socket after the first.", pod)
      .add(source.connections > 0 ? source.connections - 1 : 0);
  page.counter("llm_d_epp_kv_cache_events_messages_received_total", "Messages with KV events.", pod)
      .add(source.messages);
  for (size_t i = 0; i < kKvFeedOperations; ++i) {
    const auto operation = static_cast<KvFeedOperation>(i);
    page.counter("llm_d_epp_kv_cache_events_zmq_errors_total", "Errors of ZeroMQ.",
                 {{"pod_identifier", source.name}, {"operation", std::string(name_of(operation))}})
        .add(source.errors[i]);
  }
}

}  // namespace

KvPredictionSeries::PerEndpoint KvPredictionSeries::make(const std::string& pod) {
  const auto compared = [&](const char* found) {
    return &registry_.counter("kvasir_kv_predictions_total",
                              "Answers by whether the engine found as much of the prompt in its "
                              "cache as was known to be there, more or less.",
                              {{"pod", pod}, {"found", found}});
  };
  return {&registry_.counter("kvasir_kv_predicted_cached_tokens_total",
                             "Prompt tokens that were known to be in the endpoint's cache.",
                             {{"pod", pod}}),
          &registry_.counter("kvasir_kv_actual_cached_tokens_total",
                             "Of the same prompts, the tokens that the engine found in its cache.",
                             {{"pod", pod}}),
          compared("equal"), compared("more"), compared("less")};
}

void KvPredictionSeries::ended(const EndReport& report) {
  if (!report.predicted_cached_tokens || !report.cached_tokens) return;
  if (report.status != kHttpOk || report.endpoint == nullptr) return;
  const std::string& pod = report.endpoint->name;
  PerEndpoint* endpoint = endpoints_.find_or_make({{pod}, 0}, [&] { return make(pod); });
  if (endpoint == nullptr) return;
  const uint32_t predicted = *report.predicted_cached_tokens, actual = *report.cached_tokens;
  endpoint->predicted->add(predicted);
  endpoint->actual->add(actual);
  if (predicted == actual) return endpoint->equal->add();
  (actual > predicted ? endpoint->more : endpoint->less)->add();
}

void TokenSeries::found(const Tokens& tokens) {
  if (tokens.ids != nullptr) {
    const auto origin = static_cast<size_t>(tokens.origin);
    return count(origins_[origin], [&]() -> Counter& {
      return registry_.counter("kvasir_prompt_tokens_known_total",
                               "Requests whose token ids were found, by where.",
                               {{"from", std::string(label_of(tokens.origin))}});
    });
  }
  count(reasons_[static_cast<size_t>(tokens.why)], [&]() -> Counter& {
    return registry_.counter("kvasir_prompt_tokens_unknown_total",
                             "Requests that went by the byte estimate because their token ids "
                             "were not found, by why.",
                             {{"why", std::string(label_of(tokens.why))}});
  });
}

void add_kv_series(MetricRegistry& page, const KvStatistics& statistics) {
  add_index(page, statistics.caches);
  for (const KvSourceStatistics& source : statistics.caches.sources) add_source(page, source);
  if (statistics.feed) {
    page.gauge("llm_d_epp_kv_cache_events_active_subscribers",
               "Event sockets of engines that are connected.")
        .set(static_cast<double>(statistics.feed->active_subscribers()));
    page.counter("kvasir_kv_unknown_messages_total",
                 "Messages with KV events under a topic that no endpoint has.")
        .add(statistics.feed->unknown_messages);
    page.counter("kvasir_kv_unreadable_messages_total",
                 "Messages whose frames are not those of KV events.")
        .add(unreadable_messages(*statistics.feed));
    for (const KvFeedSourceStatistics& source : statistics.feed->sources) {
      add_feed_source(page, source);
    }
  }
}

std::string kv_page(const KvStatistics& statistics) {
  MetricRegistry page;
  add_kv_series(page, statistics);
  return page.expose();
}

std::string kv_news_text(const Endpoint& endpoint, uint32_t rank, KvNews news,
                         std::string_view text) {
  const std::string of = rank == 0 ? endpoint.name : fmt::format("{} rank {}", endpoint.name, rank);
  const std::string why = text.empty() ? "" : fmt::format(": {}", text);
  switch (news) {
    case KvNews::kHeard:
      return fmt::format("KV events of {} are heard{}", of, why);
    case KvNews::kLost:
      return fmt::format(
          "KV events of {} were lost, its cache is guessed until they are made up for{}", of, why);
    case KvNews::kRestarted:
      return fmt::format("KV events of {} begin anew: its engine restarted, and holds nothing", of);
    case KvNews::kRecovered:
      return fmt::format("KV events of {} are all known{}", of, why);
    case KvNews::kIncomplete:
      return fmt::format(
          "KV events of {} are known from some on: what it holds from before is not known until "
          "its "
          "cache is emptied (a larger buffer_steps of its --kv-events-config keeps more){}",
          of, why);
    case KvNews::kGivenUp:
      return fmt::format("KV events of {} that were lost cannot be asked for again{}", of, why);
    case KvNews::kRefused:
      return fmt::format("KV events of {} cannot be heard, its cache is guessed{}", of, why);
    case KvNews::kUnreached:
      return fmt::format(
          "nobody answers at {} for the KV events of {}, its cache is guessed until somebody does",
          text, of);
    case KvNews::kNoEvents:
      return fmt::format(
          "something answers at {}, but it does not publish the KV events of {}, whose cache is "
          "guessed: is it the address for replays, or the HTTP port?",
          text, of);
    case KvNews::kUnusable:
      return fmt::format("none of the KV events of {} can be used, its cache is guessed{}", of,
                         why);
    case KvNews::kUnreadable:
      return fmt::format("a message of {} is no KV events, and left out{}", of, why);
  }
  return {};
}

bool is_warning(KvNews news) {
  return news == KvNews::kLost || news == KvNews::kGivenUp || news == KvNews::kRefused ||
         news == KvNews::kUnreached || news == KvNews::kNoEvents || news == KvNews::kUnreadable ||
         news == KvNews::kUnusable;
}

}  // namespace kvasir
