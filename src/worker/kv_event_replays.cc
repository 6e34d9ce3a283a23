#include "worker/kv_event_replays.h"

#include <algorithm>
#include <cerrno>

#include "base/big_endian.h"

namespace kvasir {
namespace {

constexpr int kMessagesMost = 1000;  // that wait for one client, or from one
constexpr int64_t kRequestBytesMost = 1024;
// Of one turn, after which the publisher has its turn.
constexpr int kRequestsOfTurn = 64;
constexpr int kBatchesOfTurn = 256;

}  // namespace

Result<void> KvEventReplays::open(void* context) {
  Result<PublisherSocket> router =
      make_publisher_socket(context, ZMQ_ROUTER, kMessagesMost, options_.replay_endpoint);
  if (!router) return router.error();
  router_ = std::move(*router);
  const int on = 1;
  // A client that takes no more, or is gone, is an error, and no silence.
  zmq_setsockopt(router_.get(), ZMQ_ROUTER_MANDATORY, &on, sizeof on);
  zmq_setsockopt(router_.get(), ZMQ_RCVHWM, &kMessagesMost, sizeof kMessagesMost);
  zmq_setsockopt(router_.get(), ZMQ_MAXMSGSIZE, &kRequestBytesMost, sizeof kRequestBytesMost);
  const Result<std::string> bound = bind_publisher_socket(router_, options_.replay_endpoint);
  if (!bound) return bound.error();
  bound_ = *bound;
  return {};
}

void KvEventReplays::keep(const NumberedBatch& numbered) {
  kept_.push_back(numbered);
  kept_bytes_ += numbered.batch->bytes().size();
  while (kept_.size() > options_.buffer_steps || kept_bytes_ > options_.replay_bytes_max) {
    kept_bytes_ -= kept_.front().batch->bytes().size();
    kept_.pop_front();
  }
}

bool KvEventReplays::read_requests() {
  int requests = 0;
  while (requests < kRequestsOfTurn && read_request()) ++requests;
  return requests == kRequestsOfTurn;
}

bool KvEventReplays::go_on() {
  bool more = false;
  for (size_t i = 0; i < replays_.size();) {
    const Turn turn = send_some(replays_[i]);
    more = more || turn == Turn::kGoesOn;
    if (turn == Turn::kOver) {
      replays_.erase(replays_.begin() + static_cast<ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  return more;
}

// False: there is none.
bool KvEventReplays::read_request() {
  std::vector<std::string> frames;
  for (int more = 1; more != 0;) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, router_.get(), ZMQ_DONTWAIT) < 0) return false;
    if (frames.size() < 4) {
      frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    }
    more = zmq_msg_more(&frame);
    zmq_msg_close(&frame);
  }
  begin_replay(frames);
  return true;
}

// A request has three frames: client, nothing, the first sequence number that is wanted.
void KvEventReplays::begin_replay(const std::vector<std::string>& frames) {
  const bool sound = frames.size() == 3 && frames[1].empty() && frames[2].size() <= 8;
  if (!sound || replays_.size() >= options_.replays_max) {
    ignored_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  replays_.push_back({frames[0], from_big_endian(frames[2]), clock_.now()});
}

KvEventReplays::Turn KvEventReplays::send_some(Replay& replay) {
  const TimePoint now = clock_.now();
  for (int sent = 0; sent < kBatchesOfTurn; ++sent) {
    const Turn turn = send_next(replay);
    if (turn == Turn::kWaits && now - replay.progress > options_.replay_patience) {
      return Turn::kOver;
    }
    if (turn != Turn::kGoesOn) return turn;
    replay.progress = now;
  }
  return Turn::kGoesOn;
}

KvEventReplays::Turn KvEventReplays::send_next(Replay& replay) {
  const auto batch = std::lower_bound(
      kept_.begin(), kept_.end(), replay.next,
      [](const NumberedBatch& kept, uint64_t sequence) { return kept.sequence < sequence; });
  const bool last = batch == kept_.end();
  const std::string sequence = last ? std::string(8, '\xff') : big_endian_bytes(batch->sequence);
  if (!reply(replay.client, sequence, last ? nullptr : &batch->batch)) {
    return zmq_errno() == EAGAIN ? Turn::kWaits : Turn::kOver;
  }
  if (last) return Turn::kOver;
  replayed_.fetch_add(1, std::memory_order_relaxed);
  replay.next = batch->sequence + 1;
  return Turn::kGoesOn;
}

// Client, nothing, topic, sequence number, batch; the last one of a replay has no topic and no
// batch. Only the first frame can fail: a message is taken as a whole.
bool KvEventReplays::reply(const std::string& client, std::string_view sequence,
                           const SharedBatch* batch) {
  void* socket = router_.get();
  const std::string_view topic = batch == nullptr ? std::string_view() : options_.topic;
  if (!send_frame(socket, client, true) || !send_frame(socket, {}, true) ||
      !send_frame(socket, topic, true) || !send_frame(socket, sequence, true)) {
    return false;
  }
  return batch == nullptr ? send_frame(socket, {}, false) : send_batch(socket, *batch);
}

}  // namespace kvasir
