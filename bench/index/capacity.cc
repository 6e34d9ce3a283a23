#include "index/capacity.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/random.h"
#include "index/child_process.h"
#include "index/word_map.h"

namespace kvasir {
namespace {

using Steady = std::chrono::steady_clock;

constexpr uint32_t kParts = kMooncakeBlockTokens / 16;
constexpr uint32_t kChunk = 128;  // blocks of one event

class CapacityMaker {
 public:
  CapacityMaker(const CapacityOptions& options, CapacityWorkload& made)
      : options_(options), made_(made) {}

  void keep(const RowBlocks& row) {
    const auto home = home_of(row);
    keep_at(row, home);
    keep_at(row, static_cast<uint32_t>(random_.below(options_.holders)));
  }

 private:
  BlockHash part(const RowBlocks& row, uint32_t block) const {
    return made_.columns.hashes[row.begin + block];
  }

  // Where the longest known beginning of the prompt lives.
  uint32_t home_of(const RowBlocks& row) {
    auto home = static_cast<uint32_t>(random_.below(options_.holders));
    for (uint32_t i = 0; i < row.prompt; i += kParts) {
      const uint32_t* known = homes_.find(part(row, i));
      if (known == nullptr) break;
      home = *known;
    }
    for (uint32_t i = 0; i < row.prompt; i += kParts) homes_.at(part(row, i)) = home;
    return home;
  }

  void keep_at(const RowBlocks& row, uint32_t holder) {
    uint32_t from = 0;
    while (from < row.prompt) {
      const uint8_t* kept = kept_.find(key(part(row, from), holder));
      if (kept == nullptr) break;
      const uint32_t there = std::min<uint32_t>(*kept, row.prompt - from);
      from += there;
      if (there < kParts) break;
    }
    for (uint32_t i = from / kParts * kParts; i < row.prompt; i += kParts) {
      uint8_t& kept = kept_.at(key(part(row, i), holder));
      kept = std::max(kept, static_cast<uint8_t>(std::min(kParts, row.prompt - i)));
      uint8_t& known = known_.at(part(row, i));
      if (kept > known) made_.distinct += kept - known;
      known = std::max(known, kept);
    }
    made_.memberships += row.prompt - from;
    made_.chains.push_back({row.begin, row.prompt, from, holder});
  }
  static uint64_t key(BlockHash hash, uint32_t holder) { return hash ^ mix64(holder); }

  const CapacityOptions& options_;
  CapacityWorkload& made_;
  Random random_{7};
  WordMap<uint32_t> homes_;  // of each block of the trace, by its first part
  WordMap<uint8_t> kept_;    // parts that a holder has of it
  WordMap<uint8_t> known_;   // and that anybody has
};

void store_chain(const CacheWorkload& columns, const KeptChain& chain, BlockIndex& index) {
  for (uint32_t from = chain.from; from < chain.blocks; from += kChunk) {
    CacheEvent event;
    event.value = chain.begin + from;
    event.blocks = std::min(kChunk, chain.blocks - from);
    event.worker = static_cast<uint16_t>(chain.holder);
    event.first = from == 0;
    index.store(columns.stored(event));
  }
}

std::span<const BlockHash> hashes_of(const CapacityWorkload& workload, const KeptChain& chain) {
  return {workload.columns.hashes.data() + chain.begin, chain.blocks};
}

// How many leading blocks the index says that the holder has.
uint32_t matched(const BlockIndex& index, std::span<const BlockHash> hashes, uint32_t holder) {
  KnownChain prompt(hashes);
  std::vector<HolderMatch> matches;
  index.match(prompt, matches);
  for (const HolderMatch& match : matches) {
    if (index_of(match.holder) == holder) return match.blocks;
  }
  return 0;
}

// A thread that looks a prompt up all the time, until a holder is not among the answers any more.
class ClearWatch {
 public:
  explicit ClearWatch(const BlockIndex& index) : index_(index), thread_([this] { run(); }) {}
  ~ClearWatch() {
    stop_ = true;
    thread_.join();
  }

  // In nanoseconds, from the call of clear().
  struct Times {
    int64_t returned = 0;
    int64_t seen_here = 0;   // until a lookup of this thread missed the holder
    int64_t seen_there = 0;  // and one of the other thread
  };
  Times clear(std::span<const BlockHash> hashes, uint32_t holder, BlockIndex& index) {
    hashes_ = hashes;
    holder_ = holder;
    seen_ = false;
    gone_ = 0;
    watching_.store(true, std::memory_order_release);
    while (!seen_.load(std::memory_order_acquire)) __builtin_ia32_pause();
    const auto begin = Steady::now();
    index.clear(HolderId{holder});
    const auto returned = Steady::now();
    const bool still = matched(index, hashes, holder) > 0;
    const auto seen = Steady::now();
    while (gone_.load(std::memory_order_acquire) == 0) __builtin_ia32_pause();
    return {(returned - begin).count(), still ? INT64_MAX : (seen - begin).count(),
            gone_ - begin.time_since_epoch().count()};
  }

 private:
  void run() {
    while (!stop_) {
      if (!watching_.load(std::memory_order_acquire)) continue;
      const uint32_t blocks = matched(index_, hashes_, holder_);
      if (blocks > 0) {
        seen_.store(true, std::memory_order_release);
      } else if (seen_) {
        watching_ = false;
        gone_.store(Steady::now().time_since_epoch().count(), std::memory_order_release);
      }
    }
  }

  const BlockIndex& index_;
  std::span<const BlockHash> hashes_;
  uint32_t holder_ = 0;
  std::atomic<bool> watching_{false}, seen_{false}, stop_{false};
  std::atomic<int64_t> gone_{0};
  std::thread thread_;
};

nlohmann::json clear_holders(const CapacityWorkload& workload, const CapacityOptions& options,
                             BlockIndex& index) {
  std::vector<int64_t> returned, here, there, tidied;
  ClearWatch watch(index);
  for (uint32_t holder = 0; holder < std::min(options.clears, options.holders); ++holder) {
    // Its longest chain: most is to be looked at.
    const KeptChain* longest = nullptr;
    for (const KeptChain& chain : workload.chains) {
      if (chain.holder == holder && (!longest || chain.blocks > longest->blocks)) longest = &chain;
    }
    if (longest == nullptr || matched(index, hashes_of(workload, *longest), holder) == 0) continue;
    const ClearWatch::Times times = watch.clear(hashes_of(workload, *longest), holder, index);
    returned.push_back(times.returned);
    here.push_back(times.seen_here);
    there.push_back(times.seen_there);
    if (holder % 10 != 9) continue;
    for (bool more = true; more;) {
      const auto begin = Steady::now();
      more = index.tidy();
      tidied.push_back((Steady::now() - begin).count());
    }
  }
  return {{"returned_ns", returned}, {"here_ns", here}, {"there_ns", there}, {"tidy_ns", tidied}};
}

}  // namespace

CapacityWorkload make_capacity_workload(std::span<const TraceRow> rows,
                                        const CapacityOptions& options) {
  CapacityWorkload made;
  CapacityMaker maker(options, made);
  while (made.memberships < options.memberships || made.distinct < options.distinct) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const RowBlocks row = append_row(made.columns, rows[i], i, made.salts, UINT32_MAX);
      maker.keep(row);
      if (made.memberships >= options.memberships && made.distinct >= options.distinct) break;
    }
    ++made.salts;
  }
  return made;
}

nlohmann::json measure_capacity(
    const CapacityWorkload& workload, const CapacityOptions& options,
    const std::function<std::unique_ptr<BlockIndex>(const BlockIndexOptions&)>& make) {
  return in_child([&]() -> nlohmann::json {
    const uint64_t before = private_bytes();
    BlockIndexOptions index_options;
    index_options.holders_max = options.holders;
    const std::unique_ptr<BlockIndex> index = make(index_options);
    const auto begin = Steady::now();
    for (uint32_t i = 0; i < options.holders; ++i) index->add_holder();
    for (const KeptChain& chain : workload.chains) {
      store_chain(workload.columns, chain, *index);
    }
    const double took_s = std::chrono::duration<double>(Steady::now() - begin).count();
    const uint64_t bytes = private_bytes() - before;
    nlohmann::json said = {{"memberships", index->memberships()},
                           {"distinct", index->distinct_blocks()},
                           {"bytes", index->memory_bytes()}};
    uint64_t wrong = 0;
    Random random(3);
    for (uint32_t i = 0; i < options.prompts_checked; ++i) {
      const KeptChain& chain = workload.chains[random.below(workload.chains.size())];
      wrong += matched(*index, hashes_of(workload, chain), chain.holder) < chain.blocks ? 1 : 0;
    }
    nlohmann::json clears = clear_holders(workload, options, *index);
    return {{"bytes", bytes},
            {"store_s", took_s},
            {"said", said},
            {"wrong", wrong},
            {"checked", options.prompts_checked},
            {"clears", clears},
            {"bytes_after_clears", private_bytes() - before}};
  });
}

}  // namespace kvasir
