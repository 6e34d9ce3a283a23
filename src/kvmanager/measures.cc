#include "kvmanager/measures.h"

#include <algorithm>

namespace kvasir {

void HitRates::had(EndpointId pod, double share) {
  Mean& mean = by_pod_[index_of(pod)];
  mean.sum += share;
  ++mean.count;
}

void HitRates::best_had(double share) {
  best_.sum += share;
  ++best_.count;
}

std::optional<double> HitRates::Mean::value() const {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

std::optional<double> HitRates::of(EndpointId pod) const {
  const auto found = by_pod_.find(index_of(pod));
  return found == by_pod_.end() ? std::nullopt : found->second.value();
}

std::optional<double> HitRates::of_best() const {
  return best_.value();
}

void AskedBlocks::ask(const std::string& text, uint64_t name, double now) {
  auto found = blocks_.find(name);
  if (found == blocks_.end()) {
    if (blocks_.size() >= blocks_max_) {
      blocks_.erase(
          std::min_element(blocks_.begin(), blocks_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second.count, a.second.last) <
                   std::pair(b.second.count, b.second.last);
          }));
    }
    found = blocks_.emplace(name, Asked{text, name, 0, 0}).first;
  }
  ++found->second.count;
  found->second.last = now;
}

std::vector<const AskedBlocks::Asked*> AskedBlocks::by_count() const {
  std::vector<const Asked*> asked;
  for (const auto& [name, block] : blocks_) asked.push_back(&block);
  std::sort(asked.begin(), asked.end(), [](const Asked* a, const Asked* b) {
    return a->count != b->count ? a->count > b->count : a->text < b->text;
  });
  return asked;
}

void EvictionRates::sample(EndpointId pod, uint64_t removed, TimePoint now) {
  auto& samples = by_pod_[index_of(pod)];
  if (!samples.empty() && removed < samples.back().second) samples.clear();  // another source
  samples.emplace_back(now, removed);
  while (samples.size() > 2 && samples[1].first + kWindow <= now) samples.pop_front();
}

std::optional<double> EvictionRates::of(EndpointId pod) const {
  const auto found = by_pod_.find(index_of(pod));
  if (found == by_pod_.end() || found->second.size() < 2) return std::nullopt;
  const auto& [first_time, first] = found->second.front();
  const auto& [last_time, last] = found->second.back();
  const double seconds = to_seconds(last_time - first_time);
  if (seconds < 1) return std::nullopt;
  return static_cast<double>(last - first) / seconds;
}

}  // namespace kvasir
