// Where the services of a policy's remote sources answer. Names are looked up on a thread of their
// own, at once and then again and again: a service that moved is found, and no loop waits for the
// resolver.
//
// Lives on one loop's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"
#include "serving/remote_scores.h"

namespace kvasir {

class RemoteServiceWatch {
 public:
  // Blocks; called on any thread.
  using LookUp = std::function<Result<RemoteService>(const RemoteSource&)>;
  // The services whose address is known. A service that cannot be looked up keeps the one before.
  using Changed = std::function<void(const std::vector<RemoteService>&)>;
  // Told once, until every look-up succeeds again.
  using Trouble = std::function<void(std::string_view why)>;

  // `known`: services that were looked up before, of these sources or others. Calls `changed` with
  // those of them that still count before it returns, and later from the loop.
  RemoteServiceWatch(EventLoop& loop, std::vector<RemoteSource> sources,
                     const std::vector<RemoteService>& known, Duration interval, Changed changed,
                     Trouble trouble, LookUp look_up = resolve_source);
  ~RemoteServiceWatch();
  RemoteServiceWatch(const RemoteServiceWatch&) = delete;
  RemoteServiceWatch& operator=(const RemoteServiceWatch&) = delete;

 private:
  using Found = std::vector<Result<RemoteService>>;

  bool may_change() const;
  void look_up();
  void take(const Found& found);

  EventLoop& loop_;
  const std::vector<RemoteSource> sources_;
  const Duration interval_;
  const Changed changed_;
  const Trouble trouble_;
  const LookUp look_up_;
  std::vector<RemoteService> services_;
  bool failing_ = false;
  TimerId timer_ = kNoTimer;
  BackgroundJob job_;
};

}  // namespace kvasir
