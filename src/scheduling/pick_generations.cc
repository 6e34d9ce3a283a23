#include "scheduling/pick_generations.h"

namespace kvasir {

void PickGenerations::follow(const PickGenerations& before) {
  current_ = before.current_ + 1;
  listing_ = before.unlisted_ > 0 || !before.listed_.empty();
  oldest_ = before.oldest_;
  unlisted_ = before.unlisted_;
  listed_ = before.listed_;
  listed_old_ = listed_.size();
  if (!listing_) oldest_ = current_;
}

uint64_t PickGenerations::of(RequestId request) const {
  if (!listing_) return oldest_;
  const auto found = listed_.find(request);
  return found == listed_.end() ? oldest_ : found->second;
}

void PickGenerations::picked(RequestId request) {
  if (listing_) {
    listed_.emplace(request, current_);
  } else {
    ++unlisted_;
  }
}

void PickGenerations::ended(RequestId request) {
  const auto found = listing_ ? listed_.find(request) : listed_.end();
  if (found == listed_.end()) {
    if (unlisted_ > 0) --unlisted_;
  } else {
    if (found->second != current_) --listed_old_;
    listed_.erase(found);
  }
  if (listing_) stop_listing_when_alone();
}

void PickGenerations::stop_listing_when_alone() {
  if (unlisted_ > 0 || listed_old_ > 0) return;
  unlisted_ = listed_.size();
  oldest_ = current_;
  listed_.clear();
  listing_ = false;
}

}  // namespace kvasir
