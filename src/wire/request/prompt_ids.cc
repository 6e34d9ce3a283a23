#include "wire/request/prompt_ids.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/text.h"
#include "wire/request/prompt_id_blocks.h"

namespace kvasir {
namespace {

constexpr uint32_t kIdMax = std::numeric_limits<uint32_t>::max();
constexpr size_t kDigitsAtOnce = 8;
// Of a number that may be an id.
constexpr size_t kDigitsMax = 10;

static_assert(std::endian::native == std::endian::little);

// How many of the eight bytes are digits, from the first on.
size_t leading_digits(uint64_t bytes) {
  const uint64_t values = bytes ^ 0x3030303030303030ULL;
  const uint64_t others =
      (((values & 0x7f7f7f7f7f7f7f7fULL) + 0x7676767676767676ULL) | values) & 0x8080808080808080ULL;
  return static_cast<size_t>(std::countr_zero(others)) / 8;
}

// The number that eight digits are, the first of which is in the lowest byte.
uint32_t value_of(uint64_t digits) {
  digits = (digits * 10) + (digits >> 8);
  return static_cast<uint32_t>(
      (((digits & 0x000000ff000000ffULL) * 0x000f424000000064ULL) +
       (((digits >> 16) & 0x000000ff000000ffULL) * 0x0000271000000001ULL)) >>
      32);
}

class IdList {
 public:
  // From behind the opening bracket on.
  IdList(std::string_view text, size_t ids_max, std::vector<uint32_t>& ids)
      : at_(text.data()),
        end_(at_ + text.size()),
        blocks_from_(at_ + std::min(text.size(), kIdBlockBefore)),
        ids_max_(ids_max),
        ids_(ids) {}

  // Up to behind the closing bracket. False: it is no list of ids.
  bool read() {
    skip_space();
    if (take(']')) return true;
    for (;;) {
      if (at_ >= blocks_from_) read_blocks();
      if (used_ == ids_.size() && !make_room()) return false;
      if (!read_id(ids_[used_])) return false;
      ++used_;
      if (at_ != end_ && *at_ == ',') {
        ++at_;
        if (at_ != end_ && *at_ == ' ') ++at_;
        if (at_ != end_ && is_digit(*at_)) continue;
        skip_space();
        continue;
      }
      skip_space();
      if (take(']')) return true;
      if (!take(',')) return false;
      skip_space();
    }
  }
  void skip_space() {
    while (at_ != end_ && is_json_space(*at_)) ++at_;
  }
  bool take(char byte) {
    if (at_ == end_ || *at_ != byte) return false;
    ++at_;
    return true;
  }
  bool at_end() const { return at_ == end_; }
  void finish() { ids_.resize(used_); }

 private:
  // As far as it is as most lists are. What stops it is read one by one, and a block later it is
  // tried again.
  void read_blocks() {
    const IdsRead read = read_id_blocks(at_, end_, ids_.data() + used_, ids_.size() - used_);
    at_ = read.at;
    used_ += read.count;
    blocks_from_ = at_ + std::min<size_t>(end_ - at_, kIdBlockBytes);
  }

  // An id takes two bytes at least, so that room is bounded by the text, too.
  bool make_room() {
    if (used_ == ids_max_) return false;
    const size_t rest = static_cast<size_t>(end_ - at_) / 2 + 1;
    const size_t wanted =
        std::max<size_t>(used_ * 2, ids_.capacity() > used_ ? ids_.capacity() : rest / 3 + 1);
    ids_.resize(std::min({used_ + rest, wanted, ids_max_}));
    return used_ < ids_.size();
  }

  bool read_id(uint32_t& id) {
    if (static_cast<size_t>(end_ - at_) < kDigitsAtOnce) return read_id_slowly(id);
    uint64_t bytes;
    std::memcpy(&bytes, at_, sizeof bytes);
    const size_t digits = leading_digits(bytes);
    if (digits == kDigitsAtOnce) return read_id_slowly(id);
    if (digits == 0 || (*at_ == '0' && digits > 1)) return false;
    id = value_of((bytes ^ 0x3030303030303030ULL) << (64 - digits * 8));
    at_ += digits;
    return true;
  }

  bool read_id_slowly(uint32_t& id) {
    const char* const begin = at_;
    uint64_t value = 0;
    while (at_ != end_ && is_digit(*at_) && static_cast<size_t>(at_ - begin) < kDigitsMax) {
      value = value * 10 + static_cast<uint64_t>(*at_++ - '0');
    }
    if (at_ == begin || (*begin == '0' && at_ - begin > 1) || value > kIdMax) return false;
    id = static_cast<uint32_t>(value);
    return at_ == end_ || !is_digit(*at_);
  }

  const char* at_;
  const char* const end_;
  const char* blocks_from_;
  const size_t ids_max_;
  std::vector<uint32_t>& ids_;
  size_t used_ = 0;
};

}  // namespace

PromptIds read_prompt_ids(std::string_view json, size_t ids_max, std::vector<uint32_t>& ids) {
  ids.clear();
  IdList list(json, ids_max, ids);
  list.skip_space();
  if (!list.take('[')) return PromptIds::kNone;
  list.skip_space();
  const bool nested = list.take('[');
  if (!list.read()) return PromptIds::kNone;
  list.skip_space();
  if (nested && list.take(',')) return PromptIds::kSeveral;
  if (nested && !list.take(']')) return PromptIds::kNone;
  list.skip_space();
  if (!list.at_end()) return PromptIds::kNone;
  list.finish();
  return PromptIds::kOne;
}

PromptIds read_packed_ids(std::string_view varints, size_t ids_max, std::vector<uint32_t>& ids) {
  ids.clear();
  uint64_t value = 0;
  int shift = 0;
  for (const char c : varints) {
    const auto byte = static_cast<uint8_t>(c);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (value > kIdMax) return PromptIds::kNone;
    if ((byte & 0x80) != 0) {
      shift += 7;
      if (shift > 28) return PromptIds::kNone;
      continue;
    }
    if (ids.size() == ids_max) return PromptIds::kNone;
    ids.push_back(static_cast<uint32_t>(value));
    value = 0;
    shift = 0;
  }
  return shift == 0 ? PromptIds::kOne : PromptIds::kNone;
}

}  // namespace kvasir
