#include "kvevents/feed_source.h"

#include <fmt/format.h>

#include <utility>

namespace kvasir {
namespace {

constexpr size_t kTopicShown = 256;  // bytes of a topic in a message

}  // namespace

std::string_view name_of(KvFeedOperation operation) {
  constexpr std::array<std::string_view, kKvFeedOperations> kNames = {"connect", "handshake",
                                                                      "frames", "replay"};
  return kNames[static_cast<size_t>(operation)];
}

KvFeedSourceStatistics FeedSourceCounters::statistics(TimePoint now) const {
  KvFeedSourceStatistics of;
  of.endpoint = name.id;
  of.name = name.endpoint.name;
  of.rank = name.rank;
  of.address = name.events;
  of.freshness = stream.freshness;
  of.connected = stream.connected;
  of.replaying = stream.replaying;
  of.connections = stream.connections;
  of.messages = stream.messages;
  of.bytes = stream.bytes;
  of.batches = stream.batches;
  of.duplicates = stream.duplicates;
  of.faulty = stream.faulty;
  of.gaps = stream.gaps;
  of.holes = stream.holes;
  of.lost_batches = stream.lost;
  of.restarts = stream.restarts;
  of.replays = stream.replays;
  of.replays_failed = stream.replays_failed;
  of.replayed_batches = stream.replayed;
  of.no_room = stream.no_room;
  of.next_number = stream.next;
  const TimePoint heard_at = stream.heard_at;
  of.silence = now - (heard_at == TimePoint{} ? added_at : heard_at);
  for (size_t i = 0; i < errors.size(); ++i) of.errors[i] = errors[i];
  return of;
}

FeedSource::FeedSource(FeedTools& tools, KvSourceId source, FeedSourceName name)
    : tools_(tools),
      source_(source),
      counters_(std::make_shared<FeedSourceCounters>()),
      stream_(tools.options.stream, !name.replay.empty(), source, tools.tracker, *this,
              tools.budget, tools.loop, counters_->stream) {
  counters_->name = std::move(name);
  counters_->added_at = tools.loop.now();
}

FeedSource::~FeedSource() {
  tools_.loop.cancel(unreached_);
  stop_replay();
  tools_.tracker.remove_source(source_);
}

Result<std::unique_ptr<FeedSource>> FeedSource::add(FeedTools& tools, FeedSourceName name) {
  const std::optional<KvSourceId> source =
      tools.tracker.add_source(name.id, name.rank, name.endpoint.name);
  if (!source) return Error{"the endpoint has as many sources as it may"};
  return std::unique_ptr<FeedSource>(new FeedSource(tools, *source, std::move(name)));
}

Result<std::unique_ptr<FeedSource>> FeedSource::subscribe(FeedTools& tools, FeedSourceName name) {
  Result<std::unique_ptr<FeedSource>> added = add(tools, std::move(name));
  if (!added) return added;
  FeedSource& made = **added;
  const FeedSourceName& its = made.counters_->name;
  if (!its.topic.empty()) made.stream_.expect_topic();
  auto subscription = EventSubscription::open(tools.context, tools.loop, its.events, its.topic,
                                              tools.sockets, made);
  if (!subscription) return subscription.error();
  made.subscription_ = std::move(*subscription);
  tools.tracker.set_connected(made.source_, false);
  made.unreached_ = tools.loop.after(tools.options.unreached_after, [&made] {
    const FeedSourceName& unreached = made.counters_->name;
    made.unreached_ = kNoTimer;
    made.tools_.probe.on_unreached(unreached.endpoint, unreached.rank, unreached.events,
                                   made.subscription_->answered());
  });
  return added;
}

Result<std::unique_ptr<FeedSource>> FeedSource::bound(FeedTools& tools, FeedSourceName name) {
  Result<std::unique_ptr<FeedSource>> added = add(tools, std::move(name));
  if (added) (*added)->on_connected();
  return added;
}

void FeedSource::on_message(ZmqFrames frames) {
  const Result<EventMessage> message = read_event_message(frames);
  if (!message || message->json) {
    tools_.probe.on_unreadable(counters_->name.endpoint.name,
                               message ? "JSON is read on the bound port only"
                                       : std::string_view(message.error().message));
    stream_.on_unreadable();
    return on_error(KvFeedOperation::kFrames);
  }
  if (topic_ != message->topic) {
    topic_.emplace(message->topic);
    tools_.tracker.set_topic(source_, *topic_);
  }
  stream_.on_live(message->number, message->batch);
}

// By another connection than before: that one may have ended without a word. Numbers say whether
// anything is missing.
void FeedSource::on_connection(uint64_t connection) {
  connection_ = connection;
  if (!counters_->stream.connected) on_connected();
  tools_.tracker.set_connected(source_, true);
}

void FeedSource::on_connection_lost(uint64_t connection) {
  if (connection == connection_ && counters_->stream.connected) on_disconnected();
}

void FeedSource::on_connected() {
  tools_.loop.cancel(std::exchange(unreached_, kNoTimer));
  stream_.on_subscribed();
  if (subscription_ != nullptr) tools_.tracker.set_connected(source_, true);
  tools_.probe.on_subscribed(counters_->name.endpoint, counters_->name.rank,
                             !counters_->name.replay.empty());
}

void FeedSource::on_disconnected() {
  tools_.tracker.set_connected(source_, false);
  stream_.on_disconnected();
}

void FeedSource::on_error(KvFeedOperation operation) {
  ++counters_->errors[static_cast<size_t>(operation)];
}

void FeedSource::start_replay(uint64_t from) {
  replay_from_ = from;
  tools_.turns.ask(*this);
}

void FeedSource::on_turn() {
  auto replay = EventReplay::open(tools_.context, tools_.loop, counters_->name.replay, replay_from_,
                                  tools_.sockets, *this);
  if (!replay) return on_replay_failed(replay.error().message);
  replay_ = std::move(*replay);
  stream_.on_replay_started();
}

// Often called by the replay itself.
void FeedSource::stop_replay() {
  tools_.turns.give_back(*this);
  if (replay_ == nullptr) return;
  replay_->deafen();
  tools_.loop.defer([replay = std::move(replay_)] {});
  replay_ = nullptr;
}

void FeedSource::on_replayed(const ReplayMessage& message) {
  const std::string& heard = counters_->name.topic;
  if (message.topic && !heard.empty()) {
    if (!message.topic->starts_with(heard)) return refuse_topic(*message.topic);
    topic_refused_ = false;
    stream_.on_topic_seen();
  }
  stream_.on_replayed(message.number, message.batch);
}

// Told once: whoever publishes under it goes on doing so.
void FeedSource::refuse_topic(std::string_view topic) {
  const FeedSourceName& its = counters_->name;
  const std::string why =
      fmt::format("replayed batches have the topic '{}', the filter is '{}': nothing will be heard",
                  topic.substr(0, kTopicShown), its.topic);
  if (!std::exchange(topic_refused_, true)) {
    tools_.probe.on_refused(its.endpoint, its.rank, why);
  }
  on_error(KvFeedOperation::kReplay);
  stream_.on_replay_refused(why);
}

void FeedSource::on_replay_ended() {
  stream_.on_replay_ended();
}

void FeedSource::on_replay_failed(std::string_view why) {
  on_error(KvFeedOperation::kReplay);
  stream_.on_replay_failed(why);
}

void FeedSource::on_lost(std::string_view why) {
  tools_.probe.on_lost(counters_->name.endpoint, counters_->name.rank, why);
}

void FeedSource::on_restarted() {
  tools_.probe.on_restarted(counters_->name.endpoint, counters_->name.rank);
}

void FeedSource::on_unusable(std::string_view why) {
  const FeedSourceName& its = counters_->name;
  if (!std::exchange(unusable_told_, true)) tools_.probe.on_unusable(its.endpoint, its.rank, why);
}

void FeedSource::on_emptied() {
  tools_.probe.on_emptied(counters_->name.id);
}

void FeedSource::on_caught_up(uint64_t batches, KvFreshness now) {
  tools_.probe.on_recovered(counters_->name.endpoint, counters_->name.rank, batches, now);
}

void FeedSource::on_given_up(std::string_view why, KvFreshness now) {
  tools_.probe.on_given_up(counters_->name.endpoint, counters_->name.rank, why, now);
}

}  // namespace kvasir
