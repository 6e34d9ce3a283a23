#include "feeds/name_watch.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kvasir {
namespace {

Resolver::Addresses sorted(Resolver::Addresses addresses) {
  std::sort(addresses.begin(), addresses.end(),
            [](const SocketAddress& a, const SocketAddress& b) { return a.key() < b.key(); });
  return addresses;
}

}  // namespace

NameWatch::NameWatch(Executor& executor, Resolver& resolver, const std::vector<std::string>& hosts,
                     Duration interval, Changed changed, Trouble trouble)
    : executor_(executor),
      resolver_(resolver),
      interval_(interval),
      changed_(std::move(changed)),
      trouble_(std::move(trouble)),
      unanswered_(0) {
  const std::set<std::string> each(hosts.begin(), hosts.end());
  names_.reserve(each.size());
  for (const std::string& host : each) {
    names_.emplace_back().host = host;
    due_.push_back(&names_.back());
  }
  unanswered_ = names_.size();
  look_up_due();
}

NameWatch::~NameWatch() {
  for (const Name& name : names_) executor_.cancel(name.timer);
}

void NameWatch::look_up_due() {
  for (; !due_.empty() && under_way_ < kAtOnceMax; due_.pop_front()) {
    Name& name = *due_.front();
    ++under_way_;
    name.look_up = resolver_.look_up(
        executor_, name.host, [this, &name](const auto& answer) { on_answer(name, answer); });
  }
}

void NameWatch::on_answer(Name& name, const Result<Resolver::Addresses>& answer) {
  --under_way_;
  if (!literal_address(name.host)) {
    name.timer = executor_.after(interval_, [this, &name] {
      due_.push_back(&name);
      look_up_due();
    });
  }
  look_up_due();
  tell(name, answer);
  if (!std::exchange(name.answered, true)) --unanswered_;
}

void NameWatch::tell(Name& name, const Result<Resolver::Addresses>& answer) {
  const bool failed_before = std::exchange(name.failing, !answer);
  if (!answer) {
    if (!failed_before) trouble_(name.host, answer.error().message);
    return;
  }
  Resolver::Addresses addresses = sorted(*answer);
  if (name.addresses == addresses) return;
  name.addresses = std::move(addresses);
  changed_(name.host, *answer);
}

}  // namespace kvasir
