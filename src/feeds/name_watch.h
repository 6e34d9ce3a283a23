// Looks names up, at once and then again and again, and tells when their addresses changed: who is
// behind a name comes, goes and moves. Each name by itself: one that hangs delays no other.
//
// Lives on its executor's thread; what it calls must not destroy it.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "net/io/resolver.h"

namespace kvasir {

class NameWatch {
 public:
  static constexpr size_t kAtOnceMax = 64;  // of its look-ups

  // The addresses of a name when they are known for the first time, and when others came or went.
  // None: the name has no address.
  using Changed = std::function<void(const std::string& host, const Resolver::Addresses&)>;
  // The name cannot be looked up; told once, until it can be again.
  using Trouble = std::function<void(const std::string& host, const std::string& why)>;

  // Calls nobody before it returns. `executor` and `resolver` must outlive it.
  NameWatch(Executor& executor, Resolver& resolver, const std::vector<std::string>& hosts,
            Duration interval, Changed changed, Trouble trouble);
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

  // Every name was answered once, or could not be looked up. Thread-safe.
  bool settled() const { return unanswered_ == 0; }

 private:
  struct Name {
    std::string host;
    std::unique_ptr<Resolver::LookUp> look_up;
    std::optional<Resolver::Addresses> addresses;  // in the order of their keys
    bool failing = false;
    bool answered = false;
    TimerId timer = kNoTimer;
  };

  void look_up_due();
  void on_answer(Name& name, const Result<Resolver::Addresses>& answer);
  void tell(Name& name, const Result<Resolver::Addresses>& answer);

  Executor& executor_;
  Resolver& resolver_;
  const Duration interval_;
  const Changed changed_;
  const Trouble trouble_;
  std::vector<Name> names_;
  std::deque<Name*> due_;
  size_t under_way_ = 0;
  std::atomic<size_t> unanswered_;
};

}  // namespace kvasir
