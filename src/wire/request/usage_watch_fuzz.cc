// Any bytes as an answer: wherever it is cut, the counts are those of the whole; and when it is
// JSON, they are those that a real parser finds in it.
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/request/usage_watch.h"

namespace {

using Counts = std::array<std::optional<uint32_t>, 3>;

Counts counts_of(const kvasir::UsageWatch& watch) {
  return {watch.prompt_tokens(), watch.completion_tokens(), watch.cached_tokens()};
}

// What the counts are by the words of usage_watch.h.
class Oracle final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Counts counts() const {
    std::optional<uint32_t> prompt = found_[kPrompt];
    if (!prompt && found_[kInput]) {
      const uint64_t all = uint64_t{*found_[kInput]} + found_[kCacheRead].value_or(0) +
                           found_[kCacheCreation].value_or(0);
      prompt = all < UINT32_MAX ? static_cast<uint32_t>(all) : UINT32_MAX;
    }
    return {prompt, found_[kCompletion], found_[kCached] ? found_[kCached] : found_[kCacheRead]};
  }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(int64_t) override { return value(); }
  bool number_float(double, const std::string&) override { return value(); }
  bool string(std::string&) override { return value(); }
  bool binary(nlohmann::json::binary_t&) override { return value(); }
  bool number_unsigned(uint64_t number) override {
    const int which = count();
    if (which >= 0 && number <= UINT32_MAX) found_[which] = static_cast<uint32_t>(number);
    return value();
  }
  bool key(std::string& name) override {
    key_ = name;
    return true;
  }
  bool start_object(size_t) override {
    const bool usage = key_ == "usage" || (depth_ == 0 && key_ == "meta_info");
    depth_ = usage ? 1 : depth_ > 0 ? depth_ + 1 : 0;
    key_.reset();
    return true;
  }
  bool start_array(size_t) override {
    value();
    if (depth_ > 0) ++depth_;
    return true;
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  enum Found { kPrompt, kInput, kCompletion, kCached, kCacheRead, kCacheCreation, kAll };

  bool value() {
    if (key_ == "usage") depth_ = 0;  // a usage that is no object ends the one around it
    key_.reset();
    return true;
  }
  bool end() {
    if (depth_ > 0) --depth_;
    return true;
  }
  int count() const {
    if (!key_) return -1;
    if (depth_ != 1 && depth_ != 2) return -1;
    if (*key_ == "cached_tokens") return kCached;
    if (depth_ == 2) return -1;
    if (*key_ == "prompt_tokens") return kPrompt;
    if (*key_ == "input_tokens") return kInput;
    if (*key_ == "completion_tokens" || *key_ == "output_tokens") return kCompletion;
    if (*key_ == "cache_read_input_tokens") return kCacheRead;
    return *key_ == "cache_creation_input_tokens" ? kCacheCreation : -1;
  }

  std::array<std::optional<uint32_t>, kAll> found_;
  size_t depth_ = 0;  // in an object of counts
  std::optional<std::string> key_;
};

}  // namespace

// The first byte says how long the pieces are; 0: they differ.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data + 1), size - 1);
  kvasir::UsageWatch whole;
  whole.look(answer);

  kvasir::UsageWatch pieces;
  size_t next = 0;
  for (size_t at = 0; at < answer.size();) {
    const size_t wanted = data[0] != 0 ? data[0] : 1 + data[1 + next++ % answer.size()] % 32U;
    const std::string_view piece = answer.substr(at, wanted);
    pieces.look(piece);
    at += piece.size();
  }
  KVASIR_ASSERT(counts_of(whole) == counts_of(pieces), "where an answer is cut does not matter");

  // Of keys only the plain spelling counts, and to the parser a zero byte is the end.
  if (answer.find('\\') != std::string_view::npos) return 0;
  if (answer.find('\0') != std::string_view::npos) return 0;
  Oracle oracle;
  if (nlohmann::json::sax_parse(answer, &oracle)) {
    KVASIR_ASSERT(oracle.counts() == counts_of(whole), "a parser finds the same counts");
  }
  return 0;
}
