// A Resolver whose answers a test sets. No threads: it answers in the executor's next turn, or
// never.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/lifeline.h"
#include "net/io/resolver.h"

namespace kvasir {

// Of one thread.
class FakeResolver final : public Resolver {
 public:
  // The addresses of `host` from now on, literals; none: the name has no address.
  void set(const std::string& host, const std::vector<std::string>& literals);
  void fail(const std::string& host, const std::string& why) { hosts_[host].answer = Error{why}; }
  // Look-ups of `host` that start from now on are not answered.
  void hang(const std::string& host) { hosts_[host].answer.reset(); }

  // How often the host was looked up. Others than those above fail: "the resolver is away".
  int look_ups(const std::string& host) { return hosts_[host].look_ups; }
  // Started, and neither answered nor given up.
  int under_way() const { return *under_way_; }

  [[nodiscard]] std::unique_ptr<LookUp> look_up(Executor& executor, const std::string& host,
                                                Answered answered) override;

 private:
  struct Host {
    std::optional<Result<Addresses>> answer = Error{"the resolver is away"};
    int look_ups = 0;
  };
  class Waiting;

  std::map<std::string, Host> hosts_;
  const std::shared_ptr<int> under_way_ = std::make_shared<int>(0);
};

class FakeResolver::Waiting final : public Resolver::LookUp {
 public:
  Waiting(Executor& executor, std::optional<Result<Addresses>> answer, Answered answered,
          std::shared_ptr<int> under_way)
      : under_way_(std::move(under_way)) {
    ++*under_way_;
    if (!answer) return;
    executor.post(lifeline_.guard([this, answer, answered = std::move(answered)] {
      --*under_way_;
      answered_ = true;
      const Answered call = answered;  // it may destroy this
      call(*answer);
    }));
  }
  ~Waiting() override {
    if (!answered_) --*under_way_;
  }

 private:
  const std::shared_ptr<int> under_way_;
  bool answered_ = false;
  Lifeline lifeline_;
};

inline void FakeResolver::set(const std::string& host, const std::vector<std::string>& literals) {
  Addresses addresses;
  for (const std::string& literal : literals) addresses.push_back(*literal_address(literal));
  hosts_[host].answer = addresses;
}

inline std::unique_ptr<Resolver::LookUp> FakeResolver::look_up(Executor& executor,
                                                               const std::string& host,
                                                               Answered answered) {
  Host& known = hosts_[host];
  ++known.look_ups;
  std::optional<Result<Addresses>> answer = known.answer;
  if (const auto literal = literal_address(host)) answer = Addresses{*literal};
  return std::make_unique<Waiting>(executor, std::move(answer), std::move(answered), under_way_);
}

}  // namespace kvasir
