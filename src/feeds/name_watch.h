// Looks names up again and again, on a thread of its own, and tells when one has moved: a worker
// that was started anew often has its name and another address.
//
// Lives on one loop's thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "feeds/discovery.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"

namespace kvasir {

class NameWatch {
 public:
  // By host, the address (a literal) that it has.
  using Addresses = std::map<std::string, std::string>;
  using Moved = std::function<void(const Addresses&)>;
  using Trouble = std::function<void(std::string_view host, std::string_view why)>;

  // `known`: the addresses that are in use, empty for a name that has none yet. A name keeps its
  // address while it is one of the name's; `moved` hears of those that changed. `trouble` is told
  // once for each name, until it can be looked up again; whoever gives an empty address knows.
  NameWatch(EventLoop& loop, Addresses known, Duration interval, Moved moved, Trouble trouble,
            BlockingLookUp resolver = resolve_all_addresses);
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

 private:
  using Answers = std::map<std::string, Result<std::vector<std::string>>>;

  void schedule();
  void look_up();
  void take(const Answers& answers);

  EventLoop& loop_;
  Addresses known_;
  const Duration interval_;
  const Moved moved_;
  const Trouble trouble_;
  const BlockingLookUp resolver_;
  std::map<std::string, bool> failing_;
  TimerId timer_ = kNoTimer;
  BackgroundJob job_;
};

}  // namespace kvasir
