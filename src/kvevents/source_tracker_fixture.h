// For tests: a tracker of sources whose batches are words, and an engine that publishes such.
//
// A batch is a unique stamp and words: "+a" (block a was stored), "-a" (removed), "!" (all were
// cleared), "?" (what follows cannot be read).
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "kvevents/source_tracker.h"

namespace kvasir {

using BlockNames = std::set<std::string>;

// What `batch` does to a cache that has `blocks`.
inline Result<KvBatchApplied> apply_words(std::string_view batch, BlockNames& blocks) {
  std::istringstream stream{std::string(batch)};
  std::string word;
  stream >> word;
  KvBatchApplied applied;
  while (stream >> word) {
    if (word == "?") return Error{"a word that is not known"};
    if (word == "!") blocks.clear(), applied.cleared = true;
    if (word[0] == '+') blocks.insert(word.substr(1));
    if (word[0] == '-') blocks.erase(word.substr(1));
  }
  return applied;
}

// Thread-safe, so that a test may look while a feed writes.
class WordTracker final : public KvSourceTracker {
 public:
  struct Source {
    EndpointId endpoint{};
    uint32_t rank = 0;
    std::string name;
    KvFreshness freshness = KvFreshness::kNothingYet;
    BlockNames blocks;
    uint64_t batches = 0;
    uint64_t cleared = 0;
    std::string last;  // batch, since it was cleared from outside
    std::optional<KvStreamPosition> position = {};
    std::string topic = {};
    std::optional<bool> connected = {};
  };

 private:
  struct State {
    std::map<KvSourceId, Source> sources;
    uint64_t last_id = 0;
    uint64_t misuses = 0;
  };
  template <class Work>
  auto change(KvSourceId id, Work work) {
    return state_.with([&](State& state) {
      state.misuses += state.sources.count(id) == 0;
      return work(state.sources[id]);
    });
  }

 public:
  std::optional<KvSourceId> add_source(EndpointId endpoint, uint32_t rank,
                                       std::string name) override {
    return state_.with([&](State& state) {
      const KvSourceId id{++state.last_id};
      state.sources[id] = {endpoint, rank, std::move(name), KvFreshness::kNothingYet, {}, 0, 0, {},
                           {},       {}};
      return std::optional(id);
    });
  }
  void remove_source(KvSourceId source) override {
    state_.with([&](State& state) { state.misuses += state.sources.erase(source) == 0; });
  }
  Result<KvBatchApplied> apply(KvSourceId source, std::string_view batch, TimePoint) override {
    return change(source, [&](Source& of) {
      ++of.batches;
      of.last = batch;
      return apply_words(batch, of.blocks);
    });
  }
  void set_freshness(KvSourceId source, KvFreshness freshness) override {
    change(source, [&](Source& of) { of.freshness = freshness; });
  }
  void clear(KvSourceId source) override {
    change(source, [&](Source& of) { of.blocks.clear(), of.last.clear(), ++of.cleared; });
  }
  bool tidy(TimePoint) override { return false; }
  void set_topic(KvSourceId source, std::string_view topic) override {
    change(source, [&](Source& of) { of.topic = topic; });
  }
  void set_connected(KvSourceId source, bool connected) override {
    change(source, [&](Source& of) { of.connected = connected; });
  }
  std::optional<KvStreamPosition> position(KvSourceId source) override {
    return change(source, [](const Source& of) { return of.position; });
  }
  void set_position(KvSourceId source, const std::optional<KvStreamPosition>& position) override {
    change(source, [&](Source& of) { of.position = position; });
  }

  // The sources that are there, oldest first.
  std::vector<Source> sources() const {
    return state_.with([](const State& state) {
      std::vector<Source> all;
      for (const auto& [id, source] : state.sources) all.push_back(source);
      return all;
    });
  }
  // Calls that named a source which was not there.
  uint64_t misuses() const {
    return state_.with([](const State& state) { return state.misuses; });
  }

 private:
  Guarded<State> state_;
};

// What an engine's process publishes and keeps.
class WordEngine {
 public:
  using Numbered = std::pair<uint64_t, std::string>;

  explicit WordEngine(size_t kept_max = 10'000) : kept_max_(kept_max) {}

  // The words happen in its cache, and are a batch.
  Numbered publish(const std::string& words) {
    const std::string batch = std::to_string(++stamps_) + " " + words;
    static_cast<void>(apply_words(batch, blocks_));
    kept_.emplace_back(next_++, batch);
    if (kept_.size() > kept_max_) kept_.pop_front();
    return kept_.back();
  }
  std::vector<Numbered> kept_from(uint64_t number) const {
    std::vector<Numbered> batches;
    for (const Numbered& batch : kept_) {
      if (batch.first >= number) batches.push_back(batch);
    }
    return batches;
  }
  // Its cache is empty, which it does not say.
  void reset() { blocks_.clear(); }
  // Another process, which counts from 0.
  void restart() {
    blocks_.clear();
    kept_.clear();
    next_ = 0;
  }
  const BlockNames& blocks() const { return blocks_; }
  uint64_t next() const { return next_; }

 private:
  size_t kept_max_;
  std::deque<Numbered> kept_;
  BlockNames blocks_;
  uint64_t next_ = 0;
  uint64_t stamps_ = 0;
};

}  // namespace kvasir
