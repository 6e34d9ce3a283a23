#include "feeds/name_watch.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "feeds/address_book.h"

namespace kvasir {
NameWatch::NameWatch(EventLoop& loop, Addresses known, Duration interval, Moved moved,
                     Trouble trouble, BlockingLookUp resolver)
    : loop_(loop),
      known_(std::move(known)),
      interval_(interval),
      moved_(std::move(moved)),
      trouble_(std::move(trouble)),
      resolver_(std::move(resolver)),
      job_(loop) {
  for (const auto& [host, address] : known_) failing_[host] = address.empty();
  schedule();
}

NameWatch::~NameWatch() {
  loop_.cancel(timer_);
}

void NameWatch::schedule() {
  timer_ = loop_.after(interval_, [this] { look_up(); });
}

void NameWatch::look_up() {
  const bool started = job_.start([this, names = known_, resolver = resolver_] {
    auto answers = std::make_shared<Answers>();
    for (const auto& [host, unused] : names) answers->emplace(host, resolver(host));
    return [this, answers] {
      schedule();
      take(*answers);
    };
  });
  if (!started) schedule();
}

// A name without any address keeps its old one: its endpoint is asked there, and found to be away.
void NameWatch::take(const Answers& answers) {
  Addresses moved;
  for (const auto& [host, answer] : answers) {
    const bool found = answer.ok() && !answer.value().empty();
    if (!std::exchange(failing_[host], !found) && !found) {
      trouble_(host, answer.ok() ? "it has no address" : answer.error().message);
    }
    if (!found) continue;
    const std::vector<std::string>& addresses = answer.value();
    std::string& now = known_[host];
    if (std::find(addresses.begin(), addresses.end(), now) != addresses.end()) continue;
    now = best_address(addresses);
    moved[host] = now;
  }
  if (!moved.empty()) moved_(moved);
}

}  // namespace kvasir
