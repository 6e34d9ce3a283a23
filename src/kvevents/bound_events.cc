#include "kvevents/bound_events.h"

#include <utility>

namespace kvasir {

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
  socket_->listen(tools.loop, [this](ZmqFrames frames) { on_message(frames); });
}

void BoundEvents::on_message(ZmqFrames frames) {
  const Result<EventMessage> message = read_event_message(frames);
  if (!message) return EventStreamCounters::add(counters_.faulty);
  if (message->json) {
    EventStreamCounters::add(counters_.json);
    KvPublishers* const publishers = tools_.options.publishers;
    if (publishers != nullptr) publishers->on_json(message->topic, message->batch);
    return;
  }
  auto found = by_topic_.find(message->topic);
  if (found == by_topic_.end()) {
    FeedSource* const source = find_(message->topic);
    if (source == nullptr) return EventStreamCounters::add(counters_.unknown);
    found = by_topic_.emplace(message->topic, source).first;
  }
  found->second->on_message(frames);
}

void BoundEvents::forget(const FeedSource& source) {
  std::erase_if(by_topic_, [&](const auto& entry) { return entry.second == &source; });
}

}  // namespace kvasir
