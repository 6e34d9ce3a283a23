#include "index/answers.h"

#include <vector>

#include "index/apply_event.h"

namespace kvasir {
namespace {

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

void print_lookup(const CacheWorkload& workload, const PromptLookup& lookup,
                  const IndexContender& index, std::FILE* out) {
  std::fputc('L', out);
  for (uint32_t i = 0; i < lookup.blocks; ++i) {
    std::fprintf(out, " %llu", wide(workload.contents[lookup.begin + i]));
  }
  KnownChain prompt(workload.prompt(lookup));
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
  uint64_t operations = 0;
  size_t arrived = 0;
  for (const CacheEvent& event : workload.events) {
    for (; arrived < workload.lookups.size() && workload.lookups[arrived].operations <= operations;
         ++arrived) {
      print_lookup(workload, workload.lookups[arrived], index, out);
    }
    print_event(workload, event, out);
    apply_event(workload, event, index);
    index.tidy();
    operations += operations_of(event);
  }
}

}  // namespace kvasir
