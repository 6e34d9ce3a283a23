#include "tokens/bpe_tokenizer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/guarded.h"
#include "tokens/byte_alphabet.h"
#include "tokens/merge_table.h"
#include "tokens/nfc_text.h"
#include "tokens/utf8.h"
#include "tokens/word_cache.h"
#include "tokens/word_merger.h"

namespace kvasir {
namespace {

// Words that one thread remembers at once, 64 bytes each.
constexpr size_t kCachedWords = 32 * 1024;
// Working memories that are kept for the next texts.
constexpr size_t kScratchesKept = 64;

// The bytes that a token of the vocabulary stands for: letters of the byte alphabet, or else its
// text as it is.
std::string bytes_of(std::string_view text) {
  std::string bytes;
  if (!is_utf8(text)) return std::string(text);
  for (size_t at = 0; at < text.size();) {
    const CodePoint letter = code_point_at(text, at);
    const std::optional<uint8_t> byte = kByteAlphabet.byte(letter.value);
    if (!byte) return std::string(text);
    bytes += static_cast<char>(*byte);
    at += letter.bytes;
  }
  return bytes;
}

bool is_of_bytes(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint letter = code_point_at(text, at);
    if (!kByteAlphabet.byte(letter.value)) return false;
    at += letter.bytes;
  }
  return true;
}

std::vector<AddedToken> chosen(const std::vector<AddedToken>& tokens, bool normalized,
                               bool use_nfc) {
  std::vector<AddedToken> result;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    result.push_back(token);
    if (normalized && use_nfc) result.back().text = nfc(token.text);
  }
  return result;
}

// Ids at the end of a vector: room is made ahead.
class IdWriter {
 public:
  explicit IdWriter(std::vector<uint32_t>& ids) : ids_(ids), used_(ids.size()) {}
  ~IdWriter() { ids_.resize(used_); }
  IdWriter(const IdWriter&) = delete;
  IdWriter& operator=(const IdWriter&) = delete;

  uint32_t* room(size_t count) {
    if (ids_.size() - used_ < count) ids_.resize(std::max(used_ + count, ids_.size() * 2));
    return ids_.data() + used_;
  }
  void take(size_t count) { used_ += count; }
  void put(uint32_t id) {
    *room(1) = id;
    take(1);
  }

 private:
  std::vector<uint32_t>& ids_;
  size_t used_;
};

}  // namespace

struct BpeTokenizer::Parts {
  // What one call of encode() works with; remembers words.
  struct Scratch {
    explicit Scratch(const MergeTable& merges) : merger(merges), cache(kCachedWords) {}
    WordMerger merger;
    WordCache cache;
  };

  Parts(TokenizerFile read, const TokenizerLimits& text_limits);
  std::unique_ptr<Scratch> take_scratch() const;
  void give_scratch(std::unique_ptr<Scratch> scratch) const;

  TokenizerFile file;  // without vocabulary and merges
  TokenizerLimits limits;
  MergeTable merges;
  std::array<std::optional<uint32_t>, 256> byte_ids;
  std::unordered_map<std::string, uint32_t> words;  // only where merges are ignored
  std::vector<std::string> bytes;                   // by id
  AddedTokenFinder raw_tokens;
  AddedTokenFinder normalized_tokens;
  std::vector<WordSplitter> splitters;
  mutable Guarded<std::vector<std::unique_ptr<Scratch>>> scratches;
};

BpeTokenizer::Parts::Parts(TokenizerFile read, const TokenizerLimits& text_limits)
    : file(std::move(read)),
      limits(text_limits),
      merges(file.merges.size()),
      raw_tokens(chosen(file.added_tokens, false, file.nfc)),
      normalized_tokens(chosen(file.added_tokens, true, file.nfc)) {
  uint32_t largest = 0;
  for (const auto& entry : file.vocabulary) largest = std::max(largest, entry.second);
  for (const AddedToken& token : file.added_tokens) largest = std::max(largest, token.id);
  bytes.resize(size_t{largest} + 1);
  for (const auto& [text, id] : file.vocabulary) {
    bytes[id] = bytes_of(text);
    if (!is_of_bytes(text)) continue;
    if (bytes[id].size() == 1) byte_ids[static_cast<uint8_t>(bytes[id][0])] = id;
    if (file.ignore_merges) words.emplace(bytes[id], id);
  }
  for (const AddedToken& token : file.added_tokens) bytes[token.id] = token.text;
  for (const TokenizerFile::Merge& merge : file.merges) {
    merges.add(merge.left, merge.right, merge.merged);
  }
  for (const SplitRules& rules : file.splits) splitters.emplace_back(rules);
  if (file.nfc) may_need_nfc("");  // its tables are made now, not with the first text
  file.vocabulary = {};
  file.merges = {};
}

std::unique_ptr<BpeTokenizer::Parts::Scratch> BpeTokenizer::Parts::take_scratch() const {
  auto kept = scratches.with([](auto& all) {
    std::unique_ptr<Scratch> last;
    if (!all.empty()) {
      last = std::move(all.back());
      all.pop_back();
    }
    return last;
  });
  return kept ? std::move(kept) : std::make_unique<Scratch>(merges);
}

void BpeTokenizer::Parts::give_scratch(std::unique_ptr<Scratch> scratch) const {
  scratch->merger.shrink();
  scratches.with([&scratch](auto& all) {
    if (all.size() < kScratchesKept) all.push_back(std::move(scratch));
  });
}

namespace {

// One text on its way to tokens.
template <class Parts, class Scratch>
class Encoding {
 public:
  Encoding(const Parts& parts, Scratch& scratch, std::vector<uint32_t>& ids)
      : parts_(parts), scratch_(scratch), ids_(ids) {}

  void put_all(const std::vector<uint32_t>& ids) {
    for (const uint32_t id : ids) ids_.put(id);
  }

  void encode(std::string_view text) {
    if (parts_.raw_tokens.empty()) return encode_between(text);
    parts_.raw_tokens.split(
        text, [this](std::string_view between) { encode_between(between); },
        [this](uint32_t id) { ids_.put(id); });
  }

 private:
  void encode_between(std::string_view text) {
    if (!parts_.file.nfc || !may_need_nfc(text)) return encode_normalized(text);
    encode_normalized(nfc(text));
  }

  void encode_normalized(std::string_view text) {
    if (parts_.normalized_tokens.empty()) return encode_section(text);
    parts_.normalized_tokens.split(
        text, [this](std::string_view between) { encode_section(between); },
        [this](uint32_t id) { ids_.put(id); });
  }

  void encode_section(std::string_view text) {
    if (text.empty()) return;
    if (!parts_.file.prefix_space || text.front() == ' ') return split(text, 0);
    split(std::string(" ").append(text), 0);
  }

  void split(std::string_view text, size_t splitter) {
    if (splitter == parts_.splitters.size()) return encode_word(text);
    const bool last = splitter + 1 == parts_.splitters.size();
    for (size_t at = 0; at < text.size();) {
      const size_t end = parts_.splitters[splitter].word_end(text, at);
      const std::string_view word = text.substr(at, end - at);
      last ? encode_word(word) : split(word, splitter + 1);
      at = end;
    }
  }

  void encode_word(std::string_view word) {
    if (word.size() > WordCache::kWordBytesMax) return ids_.take(merge(word));
    const WordCache::Key key = WordCache::key(word);
    const std::span<const uint32_t> known = scratch_.cache.find(key);
    if (known.empty()) {
      const size_t count = merge(word);
      scratch_.cache.put(key, {ids_.room(0), count});
      return ids_.take(count);
    }
    std::memcpy(ids_.room(WordCache::kTokensMax), known.data(),
                WordCache::kTokensMax * sizeof(uint32_t));
    ids_.take(known.size());
  }

  // Writes the word's tokens behind the others; returns how many.
  size_t merge(std::string_view word) {
    uint32_t* const symbols = ids_.room(std::max<size_t>(word.size(), 1));
    if (parts_.file.ignore_merges) {
      const auto found = parts_.words.find(std::string(word));
      if (found != parts_.words.end()) {
        symbols[0] = found->second;
        return 1;
      }
    }
    size_t count = 0;
    bool unknown_before = false;
    for (const char byte : word) {
      const std::optional<uint32_t> id = parts_.byte_ids[static_cast<uint8_t>(byte)];
      const bool put = id || (parts_.file.unknown && !(unknown_before && parts_.file.fuse_unknown));
      if (put) symbols[count++] = id ? *id : *parts_.file.unknown;
      unknown_before = !id;
    }
    return scratch_.merger.merge({symbols, count});
  }

  const Parts& parts_;
  Scratch& scratch_;
  IdWriter ids_;
};

}  // namespace

Result<std::unique_ptr<BpeTokenizer>> BpeTokenizer::load(std::string_view json,
                                                         const TokenizerLimits& limits) {
  Result<TokenizerFile> file = read_tokenizer_file(json, limits);
  if (!file) return file.error();
  return std::unique_ptr<BpeTokenizer>(
      new BpeTokenizer(std::make_unique<const Parts>(std::move(file).value(), limits)));
}

BpeTokenizer::BpeTokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
BpeTokenizer::~BpeTokenizer() = default;

bool BpeTokenizer::encode(std::string_view text, std::vector<uint32_t>& ids,
                          bool add_special_tokens) const {
  if (text.size() > parts_->limits.text_bytes) return false;
  std::unique_ptr<Parts::Scratch> scratch = parts_->take_scratch();
  {
    Encoding<Parts, Parts::Scratch> encoding(*parts_, *scratch, ids);
    if (add_special_tokens) encoding.put_all(parts_->file.before_text);
    is_utf8(text) ? encoding.encode(text) : encoding.encode(as_utf8(text));
    if (add_special_tokens) encoding.put_all(parts_->file.behind_text);
  }
  parts_->give_scratch(std::move(scratch));
  return true;
}

std::string BpeTokenizer::decode(const std::vector<uint32_t>& ids) const {
  std::string text;
  for (const uint32_t id : ids) {
    if (id < parts_->bytes.size()) text.append(parts_->bytes[id]);
  }
  return text;
}

uint32_t BpeTokenizer::vocabulary_size() const {
  return static_cast<uint32_t>(parts_->bytes.size());
}

}  // namespace kvasir
