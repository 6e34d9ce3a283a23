// Blocks that arrived, or are announced, and that no request of this worker has taken yet: by
// request, within a bound, for a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/block_hash.h"

namespace kvasir {

// Some blocks of a request, in a row.
struct P2pTensor {
  uint32_t first = 0, count = 0;
  BlockHash last_block = 0;
  size_t size = 0;
  std::vector<std::byte> bytes;  // `size` of them from open() on, until take()
  bool packed = false;  // transfer/packed_block.h
  bool failed = false;  // they do not come
  bool whole = false;   // all have come, and their checksum is right
  bool taken = false;   // a request has them
};

class P2pInbox {
 public:
  struct Limits {
    uint64_t bytes_max = 1'000'000'000;
    size_t requests_max = 10'000;
    size_t tensors_max = 4096;  // of a request
    size_t spare_bytes_max = size_t{16} << 20;  // of buffers that are kept for the next tensors
  };
  explicit P2pInbox(const Limits& limits) : limits_(limits) {}

  // Makes room for a tensor; one that was there is replaced. nullptr: there is none, and the
  // request is marked as one that does not come whole.
  std::shared_ptr<P2pTensor> reserve(const std::string& request, uint32_t first, uint32_t count,
                                     BlockHash last_block, size_t bytes, TimePoint now);
  // Where its bytes are to go.
  std::span<std::byte> open(P2pTensor& tensor);
  // They are with the request, which is there until remove(); its bytes still count.
  void take(P2pTensor& tensor);
  // A part of it does not come.
  void fail(const std::string& request, TimePoint now);
  // Nobody knows of any part of it. Whether all of its `blocks` were announced: no more comes.
  bool remove(const std::string& request, size_t blocks);
  // Requests of which nothing came since `before`. How many they were.
  size_t remove_older(TimePoint before);

  struct Found {
    bool waits = false;  // a part of what was asked for may still come
    std::vector<std::shared_ptr<P2pTensor>> tensors;  // whole ones, without gaps from `first` on
  };
  Found find(const std::string& request, uint32_t first, uint32_t count) const;

  uint64_t bytes() const { return bytes_; }
  size_t requests() const { return requests_.size(); }

 private:
  struct Request {
    std::map<uint32_t, std::shared_ptr<P2pTensor>> tensors;  // by their first block
    bool failed = false;
    TimePoint touched{};
  };
  Request* touch(const std::string& request, TimePoint now);
  uint64_t bytes_of(const Request& request) const;

  const Limits limits_;
  std::map<std::string, Request> requests_;
  uint64_t bytes_ = 0;
  std::vector<std::vector<std::byte>> spares_;  // a fresh buffer's pages are slow
  size_t spare_bytes_ = 0;
};

}  // namespace kvasir
