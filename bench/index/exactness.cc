#include "index/exactness.h"

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "index/apply_event.h"

namespace kvasir {
namespace {

// Operations between two lookups of a prompt that came lately.
constexpr uint64_t kLookupEvery = 32;
constexpr uint64_t kLately = 2'000;  // prompts

std::vector<HolderMatch> ask(const IndexContender& index, std::span<const BlockHash> prompt) {
  KnownChain chain(prompt);
  std::vector<HolderMatch> matches;
  index.match(chain, matches);
  std::sort(matches.begin(), matches.end(), [](const HolderMatch& a, const HolderMatch& b) {
    return index_of(a.holder) < index_of(b.holder);
  });
  return matches;
}

std::string in_words(const std::vector<HolderMatch>& matches) {
  std::string text;
  for (const HolderMatch& match : matches) {
    text += ' ' + std::to_string(index_of(match.holder)) + ':' + std::to_string(match.blocks);
  }
  return text.empty() ? " nobody" : text;
}

class Comparison {
 public:
  Comparison(const IndexContender& index, const IndexContender& oracle, Exactness& result)
      : index_(index), oracle_(oracle), result_(result) {}

  void compare(std::span<const BlockHash> prompt) {
    const std::vector<HolderMatch> found = ask(index_, prompt), right = ask(oracle_, prompt);
    ++result_.lookups;
    result_.matches += right.size();
    const auto equal = [](const HolderMatch& a, const HolderMatch& b) {
      return a.holder == b.holder && a.blocks == b.blocks;
    };
    if (std::equal(found.begin(), found.end(), right.begin(), right.end(), equal)) return;
    if (result_.differences++ > 0) return;
    result_.first_difference = "after " + std::to_string(result_.operations) +
                               " operations it answered" + in_words(found) + ", right is" +
                               in_words(right) + " (holder:blocks)";
  }

 private:
  const IndexContender& index_;
  const IndexContender& oracle_;
  Exactness& result_;
};

}  // namespace

Exactness check_exactness(const CacheWorkload& workload, uint32_t workers, uint64_t operations_max,
                          IndexContender& index, IndexContender& oracle) {
  Exactness result;
  Comparison comparison(index, oracle, result);
  for (uint32_t i = 0; i < workers; ++i) {
    index.add_holder();
    oracle.add_holder();
  }
  Random random(1);
  size_t arrived = 0;
  uint64_t next_lookup = 0;
  for (const CacheEvent& event : workload.events) {
    for (; arrived < workload.lookups.size() &&
           workload.lookups[arrived].operations <= result.operations;
         ++arrived) {
      comparison.compare(workload.prompt(workload.lookups[arrived]));
    }
    apply_event(workload, event, index);
    apply_event(workload, event, oracle);
    index.tidy();
    result.operations += operations_of(event);
    if (result.operations >= next_lookup && arrived > 0) {
      next_lookup = result.operations + kLookupEvery;
      const PromptLookup& lately =
          workload.lookups[arrived - 1 - random.below(std::min<uint64_t>(arrived, kLately))];
      comparison.compare({workload.hashes.data() + lately.begin, lately.with_answer});
    }
    if (result.operations >= operations_max) break;
  }
  return result;
}

}  // namespace kvasir
