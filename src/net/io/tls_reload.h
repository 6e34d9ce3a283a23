// Looks now and then whether the files of a TlsContext changed, and has it read them again.
#pragma once

#include <functional>

#include "net/io/event_loop.h"
#include "net/io/tls_context.h"

namespace kvasir {

// How often to look: a Kubernetes secret takes about a minute to reach the files anyway.
inline constexpr Duration kTlsReloadInterval = std::chrono::seconds(10);

// Lives on the loop's thread.
class TlsReload {
 public:
  // `loop` and `context` must outlive this. `tell` hears of each new certificate (true) and of each
  // change of the files that could not be used; not of looks that found nothing new.
  TlsReload(EventLoop& loop, TlsContext& context, Duration interval,
            std::function<void(const Result<bool>&)> tell);
  ~TlsReload();
  TlsReload(const TlsReload&) = delete;
  TlsReload& operator=(const TlsReload&) = delete;

 private:
  void schedule();

  EventLoop& loop_;
  TlsContext& context_;
  const Duration interval_;
  const std::function<void(const Result<bool>&)> tell_;
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir
