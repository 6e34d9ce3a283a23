// Tokens that engines told, or that were found out here, by what was asked: of so many bytes, the
// least recently used go first.
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/guarded.h"

namespace kvasir {

class TokenCache {
 public:
  using Ids = std::shared_ptr<const std::vector<uint32_t>>;
  // 128 bits: equal ones mean equal questions. Nobody can choose questions that collide, as the
  // hash has a secret that the process draws.
  using Key = std::pair<uint64_t, uint64_t>;

  // `bytes_max`: of tokens and what is kept with them. 0: nothing is remembered.
  TokenCache(size_t bytes_max, uint64_t secret);
  TokenCache(const TokenCache&) = delete;
  TokenCache& operator=(const TokenCache&) = delete;

  // The key of a question, which is given piece by piece.
  class Question {
   public:
    explicit Question(const TokenCache& cache);
    ~Question();
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;
    void take(std::string_view piece);
    Key key() const;

   private:
    struct Hash;
    const std::unique_ptr<Hash> hash_;
  };

  // Null: not remembered.
  Ids find(const Key& key);
  // Tokens that are more than a quarter of all bytes are not kept.
  void put(const Key& key, Ids ids);
  size_t bytes() const;

 private:
  struct KeyHash {
    size_t operator()(const Key& key) const { return static_cast<size_t>(key.first); }
  };
  struct Entry {
    Key key;
    Ids ids;
  };
  struct Entries {
    std::list<Entry> by_use;  // the last used first
    std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> by_key;
    size_t bytes = 0;
  };
  static size_t bytes_of(const std::vector<uint32_t>& ids);

  const size_t bytes_max_;
  const uint64_t secret_;
  Guarded<Entries> entries_;
};

}  // namespace kvasir
