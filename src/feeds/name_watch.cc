#include "feeds/name_watch.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace kvasir {
namespace {

// IPv4 first, as resolve() has it.
const std::string& best_of(const std::vector<std::string>& addresses) {
  const auto v4 = std::find_if(addresses.begin(), addresses.end(), [](const std::string& address) {
    return address.find(':') == std::string::npos;
  });
  return v4 != addresses.end() ? *v4 : addresses.front();
}

}  // namespace

NameWatch::NameWatch(EventLoop& loop, Addresses known, Duration interval, Moved moved,
                     Trouble trouble, Resolver resolver)
    : loop_(loop),
      known_(std::move(known)),
      interval_(interval),
      moved_(std::move(moved)),
      trouble_(std::move(trouble)),
      resolver_(std::move(resolver)),
      job_(loop) {
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
    now = best_of(addresses);
    moved[host] = now;
  }
  if (!moved.empty()) moved_(moved);
}

}  // namespace kvasir
