#include "kvevents/bound_events.h"

#include <fmt/format.h>

#include <utility>

#include "base/big_endian.h"
#include "kvevents/event_address.h"
#include "wire/kv_events/kv_event_decoder.h"

namespace kvasir {
namespace {

constexpr size_t kTopicShown = 256;  // bytes of it in a message

}  // namespace

Result<std::unique_ptr<BoundEvents>> BoundEvents::open(FeedTools& tools, const std::string& address,
                                                       BoundEventsCounters& counters, Find find) {
  Result<std::unique_ptr<ZmqSocket>> socket =
      ZmqSocket::open(tools.context, ZMQ_SUB, tools.sockets);
  if (!socket) return socket.error();
  const Result<void> subscribed = (*socket)->subscribe(tools.options.addresses.topic);
  if (!subscribed) return subscribed.error();
  std::unique_ptr<BoundEvents> made(
      new BoundEvents(tools, counters, std::move(find), std::move(*socket)));
  Result<std::unique_ptr<ZmqMonitor>> monitor = ZmqMonitor::open(
      tools.context, *made->socket_, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED, tools.loop,
      [made = made.get()](int event, int descriptor) { made->on_connection(event, descriptor); });
  if (!monitor) return monitor.error();
  made->monitor_ = std::move(*monitor);
  const Result<void> bound = made->socket_->bind(address);
  if (!bound) return bound.error();
  return made;
}

BoundEvents::BoundEvents(FeedTools& tools, BoundEventsCounters& counters, Find find,
                         std::unique_ptr<ZmqSocket> socket)
    : tools_(tools), counters_(counters), find_(std::move(find)), socket_(std::move(socket)) {
  if (tools.options.hold) held_.emplace(tools.options.waiting_bytes_max);
  socket_->listen(tools.loop, [this](ZmqFrames frames) { on_message(frames); });
}

// Messages of a connection that has ended may still come.
void BoundEvents::on_connection(int event, int descriptor) {
  if (event == ZMQ_EVENT_ACCEPTED) {
    descriptors_[descriptor] = ++last_connection_;
    connections_[last_connection_] = {};
    return;
  }
  const auto found = descriptors_.find(descriptor);
  if (found == descriptors_.end()) return;
  const uint64_t number = found->second;
  descriptors_.erase(found);
  const auto ended = connections_.extract(number);
  for (FeedSource* source : ended.mapped().sources) source->on_connection_lost(number);
}

// nullopt: ZeroMQ does not say it.
std::optional<uint64_t> BoundEvents::connection_of_message() const {
  const int descriptor = socket_->connection();
  if (descriptor < 0) return std::nullopt;
  const auto found = descriptors_.find(descriptor);
  return found == descriptors_.end() ? FeedSource::kNoConnection : found->second;
}

void BoundEvents::on_message(ZmqFrames frames) {
  monitor_->turn();  // which connections there are: a new one is announced before its messages
  const Result<EventMessage> message = read_event_message(frames);
  if (!message) {
    // The last frame of a message is its content.
    const std::string_view topic = frames.size() > 1 ? frames.front() : "";
    tools_.probe.on_unreadable(topic.substr(0, kTopicShown), message.error().message);
    return EventStreamCounters::add(counters_.faulty);
  }
  if (message->json) {
    EventStreamCounters::add(counters_.json);
    KvPublishers* const publishers = tools_.options.publishers;
    if (publishers != nullptr) publishers->on_json(message->topic, message->batch);
    return;
  }
  const uint32_t rank = data_parallel_rank(message->batch).value_or(0);
  const std::optional<uint64_t> connection = connection_of_message();
  if (held_ && held_->push(*message, rank, connection)) return;
  if (held_) release();  // there is no more room
  deliver(*message, rank, connection, frames);
}

void BoundEvents::deliver(const EventMessage& message, uint32_t rank,
                          std::optional<uint64_t> connection, ZmqFrames frames) {
  FeedSource* const source = source_of(message, rank);
  if (source == nullptr) return EventStreamCounters::add(counters_.unknown);
  hear(*source, connection, frames);
}

void BoundEvents::hear(FeedSource& source, std::optional<uint64_t> connection, ZmqFrames frames) {
  if (!connection) return source.on_message(frames);
  const auto found = connections_.find(*connection);
  if (found == connections_.end()) {
    source.on_message(frames);
    return source.on_connection_lost(FeedSource::kNoConnection);
  }
  if (source.connection() != *connection) {
    found->second.sources.insert(&source);
    source.on_connection(*connection);
  }
  source.on_message(frames);
}

void BoundEvents::look_at_held(const LookAtHeld& look) {
  if (look(held_ ? &*held_ : nullptr) && held_) release();
}

void BoundEvents::release() {
  std::map<HeldMessages::PublisherName, HeldMessages::Publisher> publishers;
  publishers.swap(held_->publishers());
  held_.reset();
  for (auto& [name, publisher] : publishers) {
    for (; !publisher.batches.empty(); publisher.batches.pop_front()) {
      const auto& [number, batch] = publisher.batches.front();
      const std::string number_frame = big_endian_bytes(number);
      const std::string_view frames[] = {name.topic, number_frame, batch};
      deliver({name.topic, number, batch}, name.rank, publisher.connection, frames);
    }
  }
}

FeedSource* BoundEvents::source_of(const EventMessage& message, uint32_t rank) {
  const auto found = by_topic_.find(message.topic);
  if (found != by_topic_.end()) {
    for (const Publisher& each : found->second) {
      if (each.rank == rank) return each.source;
    }
  }
  if (read_event_topic(message.topic).name.empty()) {
    refuse_unnamed(message.topic);
    return nullptr;
  }
  FeedSource* const source = find_(message.topic, rank);
  if (source != nullptr) by_topic_[std::string(message.topic)].push_back({rank, source});
  return source;
}

// Engines that do not say who they are cannot be told from one another.
void BoundEvents::refuse_unnamed(std::string_view topic) {
  if (std::exchange(unnamed_told_, true)) return;
  tools_.probe.on_unnamed_publisher(
      fmt::format("the topic '{}' of KV events names no pod, and they are dropped: the engine's "
                  "--kv-events-config needs \"topic\": \"kv@POD@MODEL\"",
                  topic.substr(0, kTopicShown)));
}

void BoundEvents::forget(FeedSource& source) {
  for (auto& [topic, publishers] : by_topic_) {
    std::erase_if(publishers, [&](const Publisher& each) { return each.source == &source; });
  }
  std::erase_if(by_topic_, [](const auto& entry) { return entry.second.empty(); });
  for (auto& [number, connection] : connections_) connection.sources.erase(&source);
}

}  // namespace kvasir
