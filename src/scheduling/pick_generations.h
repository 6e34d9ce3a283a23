// Under which configuration each request in flight was picked: a plugin hears only of the requests
// that it saw being picked, or whose bookings it took over.
//
// Each configuration is a generation. While the requests of one generation only are in flight they
// are counted, no more; around a change the younger ones are listed. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "model/request.h"

namespace kvasir {

class PickGenerations {
 public:
  // A new generation begins, after those of `before`.
  void follow(const PickGenerations& before);

  uint64_t current() const { return current_; }
  // Of a request in flight.
  uint64_t of(RequestId request) const;

  void picked(RequestId request);
  void ended(RequestId request);

 private:
  void stop_listing_when_alone();

  uint64_t current_ = 1;
  uint64_t oldest_ = 1;  // of the requests that are not listed
  size_t unlisted_ = 0;  // requests in flight that are counted only
  bool listing_ = false;
  std::unordered_map<RequestId, uint64_t> listed_;  // generations
  size_t listed_old_ = 0;                           // of listed_, not of the current generation
};

}  // namespace kvasir
