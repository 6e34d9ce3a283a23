#include "net/io/tls_reload.h"

#include <utility>

namespace kvasir {

TlsReload::TlsReload(EventLoop& loop, TlsContext& context, Duration interval,
                     std::function<void(const Result<bool>&)> tell)
    : loop_(loop), context_(context), interval_(interval), tell_(std::move(tell)) {
  schedule();
}

TlsReload::~TlsReload() {
  loop_.cancel(timer_);
}

void TlsReload::schedule() {
  timer_ = loop_.after(interval_, [this] {
    const Result<bool> reloaded = context_.reload_if_changed();
    if (!reloaded || *reloaded) tell_(reloaded);
    schedule();
  });
}

}  // namespace kvasir
