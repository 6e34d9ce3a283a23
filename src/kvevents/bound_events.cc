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
  const Result<void> bound = (*socket)->bind(address);
  if (!bound) return bound.error();
  return std::unique_ptr<BoundEvents>(
      new BoundEvents(tools, counters, std::move(find), std::move(*socket)));
}

BoundEvents::BoundEvents(FeedTools& tools, BoundEventsCounters& counters, Find find,
                         std::unique_ptr<ZmqSocket> socket)
    : tools_(tools), counters_(counters), find_(std::move(find)), socket_(std::move(socket)) {
  if (tools.options.hold) held_.emplace(tools.options.waiting_bytes_max);
  socket_->listen(tools.loop, [this](ZmqFrames frames) { on_message(frames); });
}

void BoundEvents::on_message(ZmqFrames frames) {
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
  if (held_ && held_->push(*message, rank)) return;
  if (held_) release();  // there is no more room
  deliver(*message, rank, frames);
}

void BoundEvents::deliver(const EventMessage& message, uint32_t rank, ZmqFrames frames) {
  FeedSource* const source = source_of(message, rank);
  if (source == nullptr) return EventStreamCounters::add(counters_.unknown);
  source->on_message(frames);
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
      deliver({name.topic, number, batch}, name.rank, frames);
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

void BoundEvents::forget(const FeedSource& source) {
  for (auto& [topic, publishers] : by_topic_) {
    std::erase_if(publishers, [&](const Publisher& each) { return each.source == &source; });
  }
  std::erase_if(by_topic_, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace kvasir
