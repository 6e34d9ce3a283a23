// At the start of a KV-cache manager: asks the others of its fleet for what they know, again and
// again, until one snapshot was taken, none of them knows anything, or it took too long. On the
// loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "kvmanager/peer_watch.h"
#include "kvmanager/snapshot.h"
#include "net/http/http_client.h"
#include "net/http/http_query.h"
#include "net/io/background_job.h"

namespace kvasir {

struct HandOverOptions {
  // Before the first round; then twice as long each time.
  Duration first_pause = std::chrono::milliseconds(250);
  Duration pause_max = std::chrono::seconds(4);
  // Engines look for new managers every few seconds, and are to be heard here first.
  Duration patience = std::chrono::seconds(30);
  uint32_t empty_rounds_max = 3;  // in which nobody knew anything
  Duration answer_timeout = std::chrono::seconds(30);
  size_t bytes_max = size_t{1} << 30;  // of a snapshot
};

class HandOver {
 public:
  using Peers = std::function<std::vector<PeerWatch::PeerAddress>()>;
  // Whether it was taken; to be called on the loop's thread, once.
  using Decided = std::function<void(bool taken)>;
  // With the snapshot of who knows most; nullopt: nobody knows anything. `last`: none follows.
  using Offer = std::function<void(std::optional<KvSnapshot> snapshot, bool last, Decided decided)>;

  // `loop` must outlive it.
  HandOver(EventLoop& loop, HandOverOptions options, Peers peers, Offer offer);
  ~HandOver();
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;

 private:
  struct Question;

  void wait();
  void begin_round();
  void ask_next();
  void on_answer(Result<HttpAnswer> answer);
  void on_snapshot(Result<KvSnapshot> snapshot);
  void end_round();

  EventLoop& loop_;
  const HandOverOptions options_;
  const Peers peers_;
  const Offer offer_;
  const TimePoint begun_;
  Duration pause_;
  uint32_t empty_rounds_ = 0;
  std::vector<PeerWatch::PeerAddress> to_ask_;  // in this round
  std::optional<KvSnapshot> best_;              // of this round
  size_t best_publishers_ = 0;
  std::unique_ptr<Question> question_;
  TimerId timer_ = kNoTimer;
  BackgroundJob job_;
  const Lifeline lifeline_;
};

}  // namespace kvasir
