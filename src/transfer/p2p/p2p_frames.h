// The frames that one connection is expected to bring, and where they go. A part of a peer and of a
// session.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "transfer/p2p/p2p_arrivals.h"

namespace kvasir {

class P2pFrames {
 public:
  explicit P2pFrames(P2pArrivals& arrivals) : arrivals_(arrivals) {}

  // One number is expected once at a time; the former one does not come then.
  void expect(uint64_t number, std::string key, std::shared_ptr<P2pTensor> tensor) {
    forget(number);
    expected_[number] = {std::move(key), std::move(tensor)};
  }
  void forget(uint64_t number) {
    if (const auto found = expected_.find(number); found != expected_.end()) {
      const Expected gone = std::move(found->second);
      expected_.erase(found);
      gone.tensor->failed = true;
      arrivals_.fail(gone.key);
    }
  }
  // Empty: it is not expected, or not as long.
  std::span<std::byte> begin(uint64_t number, uint64_t bytes) {
    const auto found = expected_.find(number);
    if (found == expected_.end() || found->second.tensor->size != bytes) return {};
    current_ = std::move(found->second);
    expected_.erase(found);
    return arrivals_.open(*current_.tensor);
  }
  void end(bool sound) {
    const Expected done = std::exchange(current_, {});
    arrivals_.arrived(done.key, done.tensor, sound);
  }
  // Nothing comes any more.
  void fail_all() {
    std::vector<Expected> gone;
    for (auto& [number, expected] : std::exchange(expected_, {})) gone.push_back(expected);
    if (current_.tensor != nullptr) gone.push_back(std::exchange(current_, {}));
    for (const Expected& expected : gone) expected.tensor->failed = true;
    for (const Expected& expected : gone) arrivals_.fail(expected.key);
  }
  size_t size() const { return expected_.size() + (current_.tensor != nullptr ? 1 : 0); }

 private:
  struct Expected {
    std::string key;
    std::shared_ptr<P2pTensor> tensor;  // stays, whoever gives up
  };

  P2pArrivals& arrivals_;
  std::map<uint64_t, Expected> expected_;
  Expected current_;  // is coming now
};

}  // namespace kvasir
