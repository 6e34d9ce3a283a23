#include "index/answers.h"

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "index/apply_event.h"

namespace kvasir {
namespace {

// Operations between two lookups of a prompt that came lately.
constexpr uint64_t kLookupEvery = 200;
constexpr uint64_t kLately = 200;  // prompts

unsigned long long wide(uint64_t value) {
  return value;
}

void print_event(const CacheWorkload& workload, const CacheEvent& event, std::FILE* out) {
  switch (event.kind) {
    case CacheEvent::Kind::kClear:
      std::fprintf(out, "C %u\n", unsigned{event.worker});
      return;
    case CacheEvent::Kind::kRemove:
      std::fprintf(out, "R %u %llu\n", unsigned{event.worker}, wide(event.value));
      return;
    case CacheEvent::Kind::kStore:
      break;
  }
  const StoredBlocks stored = workload.stored(event);
  std::fprintf(out, "S %u ", unsigned{event.worker});
  if (stored.parent) {
    std::fprintf(out, "%llu", wide(*stored.parent));
  } else {
    std::fputc('-', out);
  }
  for (size_t i = 0; i < stored.contents.size(); ++i) {
    std::fprintf(out, " %llu:%llu", wide(stored.engine_hashes[i]), wide(stored.contents[i]));
  }
  std::fputc('\n', out);
}

void print_lookup(const CacheWorkload& workload, uint64_t begin, uint32_t blocks,
                  const IndexContender& index, std::FILE* out) {
  std::fputc('L', out);
  for (uint32_t i = 0; i < blocks; ++i) {
    std::fprintf(out, " %llu", wide(workload.contents[begin + i]));
  }
  KnownChain prompt({workload.hashes.data() + begin, blocks});
  std::vector<HolderMatch> matches;
  index.match(prompt, matches);
  std::fputs(" =", out);
  for (const HolderMatch& match : matches) {
    std::fprintf(out, " %u:%u", index_of(match.holder), match.blocks);
  }
  std::fputc('\n', out);
}

}  // namespace

void print_answers(const CacheWorkload& workload, uint32_t workers, IndexContender& index,
                   std::FILE* out) {
  for (uint32_t i = 0; i < workers; ++i) index.add_holder();
  Random random(1);
  uint64_t operations = 0;
  uint64_t next_lookup = 0;
  size_t arrived = 0;
  for (const CacheEvent& event : workload.events) {
    for (; arrived < workload.lookups.size() && workload.lookups[arrived].operations <= operations;
         ++arrived) {
      const PromptLookup& lookup = workload.lookups[arrived];
      print_lookup(workload, lookup.begin, lookup.blocks, index, out);
    }
    // How many prompts arrive depends on how long they are; and one that came before finds more.
    if (operations >= next_lookup && arrived > 0) {
      next_lookup = operations + kLookupEvery;
      const PromptLookup& lately =
          workload.lookups[arrived - 1 - random.below(std::min<uint64_t>(arrived, kLately))];
      print_lookup(workload, lately.begin, lately.with_answer, index, out);
    }
    print_event(workload, event, out);
    apply_event(workload, event, index);
    index.tidy();
    operations += operations_of(event);
  }
}

}  // namespace kvasir
