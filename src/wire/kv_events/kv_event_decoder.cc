#include "wire/kv_events/kv_event_decoder.h"

#include <algorithm>
#include <array>
#include <string>

#include "wire/kv_events/kv_event_fields.h"
#include "wire/kv_events/kv_extra_keys.h"
#include "wire/kv_events/token_array.h"
#include "wire/msgpack/msgpack_reader.h"

namespace kvasir {
namespace {

// The 64 bits of a hash in any of its forms; nullopt: it is not one.
std::optional<uint64_t> hash_of(const MsgpackItem& item) {
  if (item.kind == MsgpackKind::kInteger) return item.number;
  if (item.kind != MsgpackKind::kBytes || item.bytes.empty()) return std::nullopt;
  uint64_t hash = 0;
  for (const char byte :
       item.bytes.substr(item.bytes.size() - std::min<size_t>(8, item.bytes.size()))) {
    hash = hash << 8 | static_cast<uint8_t>(byte);
  }
  return hash;
}

uint64_t big_endian(const char* bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

bool names_the_rank(const MsgpackItem& name) {
  return name.kind == MsgpackKind::kText &&
         (name.bytes == "data_parallel_rank" || name.bytes == "attn_dp_rank");
}

std::optional<uint32_t> rank_of(const MsgpackItem& item) {
  if (item.kind != MsgpackKind::kInteger || item.number > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(item.number);
}

template <class T>
void make_room(std::vector<T>& buffer, size_t count) {
  if (buffer.size() < count) buffer.resize(count);
}

}  // namespace

// Reads one batch. Its functions answer false when they cannot go on: then either the bytes are not
// msgpack (reader_.fault()), or the event cannot be used (unusable_) and is gone over.
class KvEventDecoder::Reader {
 public:
  Reader(KvEventDecoder& buffers, std::string_view batch, KvEventSink& sink)
      : limits_(buffers.limits_),
        hashes_(buffers.hashes_),
        tokens_(buffers.tokens_),
        extras_(buffers.extras_),
        reader_(batch),
        sink_(sink) {}

  Result<KvBatchHead> read() {
    if (read_batch() && reader_.rest().empty()) return head_;
    const char* why = reader_.fault() != nullptr ? reader_.fault() : unusable_;
    if (why == nullptr) why = "more bytes follow";
    return Error{"KV events, byte " + std::to_string(reader_.at()) + ": " + why};
  }

 private:
  bool unusable(const char* why) {
    unusable_ = why;
    return false;
  }

  bool read_batch() {
    const MsgpackItem batch = reader_.next();
    if (batch.kind == MsgpackKind::kArray) return read_batch_items(batch.number);
    if (batch.kind == MsgpackKind::kMap) return read_batch_pairs(batch.number);
    return unusable("a batch is neither an array nor a map");
  }

  bool read_batch_items(uint64_t items) {
    if (items < 2) return unusable("a batch has a time and events");
    if (!read_time() || !read_events()) return false;
    if (items > 2 && !read_rank()) return false;
    return items <= 3 || reader_.skip(items - 3);
  }

  bool read_batch_pairs(uint64_t pairs) {
    for (; pairs > 0; --pairs) {
      const MsgpackItem name = reader_.next();
      const bool text = name.kind == MsgpackKind::kText;
      bool read = false;
      if (text && name.bytes == "ts") {
        read = read_time();
      } else if (text && name.bytes == "events") {
        read = read_events();
      } else if (names_the_rank(name)) {
        read = read_rank();
      } else {
        read = reader_.skip(values_inside(name) + 1);
      }
      if (!read) return false;
    }
    return true;
  }

  bool read_time() {
    const MsgpackItem time = reader_.next();
    if (time.kind == MsgpackKind::kReal) {
      head_.timestamp = time.real;
    } else if (time.kind == MsgpackKind::kInteger) {
      head_.timestamp = time.negative ? static_cast<double>(static_cast<int64_t>(time.number))
                                      : static_cast<double>(time.number);
    } else {
      return unusable("the time of a batch is not a number");
    }
    return true;
  }

  bool read_rank() {
    const MsgpackItem rank = reader_.next();
    if (const std::optional<uint32_t> number = rank_of(rank)) head_.data_parallel_rank = number;
    return rank.kind != MsgpackKind::kNothing && reader_.skip(values_inside(rank));
  }

  bool read_events() {
    const MsgpackItem events = reader_.next();
    if (events.kind != MsgpackKind::kArray)
      return unusable("the events of a batch are not an array");
    for (uint64_t left = events.number; left > 0; --left) {
      const size_t begin = reader_.at();
      if (read_event()) continue;
      if (reader_.fault() != nullptr) return false;
      reader_.go_to(begin);
      if (!reader_.skip()) return false;
      sink_.on_skipped(unusable_);
      unusable_ = nullptr;
    }
    return true;
  }

  bool read_event() {
    fields_ = {};
    const MsgpackItem event = reader_.next();
    if (event.kind == MsgpackKind::kArray) return read_event_items(event.number);
    if (event.kind == MsgpackKind::kMap) return read_event_pairs(event.number);
    return unusable("an event is neither an array nor a map");
  }

  bool read_event_items(uint64_t items) {
    if (items == 0) return unusable("an event without a type");
    const MsgpackItem name = reader_.next();
    if (name.kind != MsgpackKind::kText) return unusable("an event without a type");
    const KvEventType type = kv_event_type(name.bytes);
    const std::span<const KvField> order =
        type == KvEventType::kStored    ? std::span<const KvField>(kStoredOrder)
        : type == KvEventType::kRemoved ? std::span<const KvField>(kRemovedOrder)
                                        : std::span<const KvField>();
    const uint64_t known = std::min<uint64_t>(order.size(), items - 1);
    for (const KvField field : order.first(known)) {
      if (!read_field(field)) return false;
    }
    return reader_.skip(items - 1 - known) && tell(type);
  }

  bool read_event_pairs(uint64_t pairs) {
    const size_t begin = reader_.at();
    const MsgpackItem first = pairs > 0 ? reader_.next() : MsgpackItem{};
    if (first.kind == MsgpackKind::kText && first.bytes == "type") {  // where engines write it
      const MsgpackItem name = reader_.next();
      return read_event_fields(name, pairs - 1);
    }
    reader_.go_to(begin);
    const std::optional<MsgpackItem> name = find_type(pairs);
    if (!name) return unusable("an event without a type");
    reader_.go_to(begin);
    return read_event_fields(*name, pairs);
  }

  std::optional<MsgpackItem> find_type(uint64_t pairs) {
    for (; pairs > 0; --pairs) {
      const MsgpackItem name = reader_.next();
      if (name.kind == MsgpackKind::kText && name.bytes == "type") return reader_.next();
      if (!reader_.skip(values_inside(name) + 1)) return std::nullopt;
    }
    return std::nullopt;
  }

  bool read_event_fields(const MsgpackItem& name, uint64_t pairs) {
    if (name.kind != MsgpackKind::kText) return unusable("an event without a type");
    return read_pairs(pairs) && tell(kv_event_type(name.bytes));
  }

  bool read_pairs(uint64_t pairs) {
    for (; pairs > 0; --pairs) {
      const MsgpackItem name = reader_.next();
      if (name.kind != MsgpackKind::kText) return unusable("a field whose name is not a text");
      if (!read_field(kv_field(name.bytes))) return false;
    }
    return true;
  }

  bool read_field(KvField field) {
    switch (field) {
      case KvField::kBlockHashes:
        return read_hashes();
      case KvField::kParent:
        return read_parent();
      case KvField::kTokens:
        return read_tokens();
      case KvField::kBlockSize:
        return read_number(fields_.block_size, "block_size is not a number");
      case KvField::kLoraId:
        return read_lora_id();
      case KvField::kMedium:
        return read_medium();
      case KvField::kLoraName:
        return read_lora_name();
      case KvField::kExtraKeys:
        return find_extra_keys();
      case KvField::kGroup:
        return read_number(fields_.group, "group_idx is not a number");
      case KvField::kSpecKind:
        return read_spec_kind();
      case KvField::kCacheSalt:
        return read_text(fields_.cache_salt, "cache_salt is not a text");
      case KvField::kUnknown:
        return reader_.skip();
    }
    return false;
  }

  bool read_hashes() {
    const MsgpackItem hashes = reader_.next();
    if (hashes.kind != MsgpackKind::kArray) return unusable("block_hashes is not an array");
    if (hashes.number > limits_.blocks_max) return unusable("an event with too many blocks");
    make_room(hashes_, hashes.number);
    for (size_t i = read_long_numbers(hashes.number); i < hashes.number; ++i) {
      const std::optional<uint64_t> hash = hash_of(reader_.next());
      if (!hash) return unusable("a block hash is neither a number nor bytes");
      hashes_[i] = *hash;
    }
    fields_.blocks = hashes.number;
    return true;
  }

  // Hashes as nearly all are, integers of eight bytes, until one is something else.
  size_t read_long_numbers(size_t count) {
    constexpr size_t kBytes = 9;
    const std::string_view rest = reader_.rest();
    count = std::min(count, rest.size() / kBytes);
    size_t done = 0;
    for (; done < count && rest[done * kBytes] == '\xcf'; ++done) {
      hashes_[done] = big_endian(rest.data() + done * kBytes + 1);
    }
    reader_.go_to(reader_.at() + done * kBytes);
    return done;
  }

  bool read_parent() {
    const MsgpackItem parent = reader_.next();
    fields_.parent = hash_of(parent);
    return fields_.parent || parent.kind == MsgpackKind::kNil ||
           unusable("parent_block_hash is neither a number nor bytes");
  }

  bool read_tokens() {
    const MsgpackItem tokens = reader_.next();
    fields_.tokens = 0;
    if (tokens.kind == MsgpackKind::kNil) return true;
    if (tokens.kind != MsgpackKind::kArray) return unusable("token_ids is not an array");
    if (tokens.number > limits_.tokens_max) return unusable("an event with too many tokens");
    make_room(tokens_, tokens.number);
    const std::optional<size_t> bytes =
        read_token_array(reader_.rest(), tokens.number, tokens_.data());
    if (!bytes) return unusable(why_no_tokens());
    reader_.go_to(reader_.at() + *bytes);
    fields_.tokens = tokens.number;
    return true;
  }

  // SGLang with speculative decoding names each token together with the one behind it.
  const char* why_no_tokens() {
    return reader_.next().kind == MsgpackKind::kArray ? "tokens in pairs"
                                                      : "a token id is not a number of 32 bits";
  }

  bool read_number(uint32_t& number, const char* why_not) {
    const MsgpackItem item = reader_.next();
    if (item.kind == MsgpackKind::kNil) return true;
    if (item.kind != MsgpackKind::kInteger || item.number > UINT32_MAX) return unusable(why_not);
    number = static_cast<uint32_t>(item.number);
    return true;
  }

  bool read_text(std::string_view& text, const char* why_not) {
    const MsgpackItem item = reader_.next();
    if (item.kind == MsgpackKind::kText) text = item.bytes;
    return item.kind == MsgpackKind::kText || item.kind == MsgpackKind::kNil || unusable(why_not);
  }

  bool read_lora_id() {
    const MsgpackItem id = reader_.next();
    fields_.has_lora_id = id.kind != MsgpackKind::kNil;
    return id.kind == MsgpackKind::kNil || id.kind == MsgpackKind::kInteger ||
           unusable("lora_id is not a number");
  }

  bool read_lora_name() {
    const size_t begin = reader_.at();
    const MsgpackItem item = reader_.next();
    if (item.kind == MsgpackKind::kMap) return read_metadata(item.number);
    reader_.go_to(begin);
    return read_text(fields_.lora_name, "lora_name is not a text");
  }

  bool read_metadata(uint64_t pairs) {
    if (fields_.in_metadata) return unusable("maps of fields in each other");
    fields_.in_metadata = true;
    return read_pairs(pairs);
  }

  bool read_medium() {
    std::string_view name;
    if (!read_text(name, "medium is not a text")) return false;
    fields_.medium = kv_medium(name);
    return true;
  }

  bool read_spec_kind() {
    std::string_view name;
    if (!read_text(name, "kv_cache_spec_kind is not a text")) return false;
    fields_.spec = kv_spec_kind(name);
    return true;
  }

  // They are read when the other fields are known. Mostly there are none.
  bool find_extra_keys() {
    const size_t begin = reader_.at();
    const MsgpackItem blocks = reader_.next();
    const std::string_view nils = reader_.rest().substr(0, blocks.number);
    if (blocks.kind == MsgpackKind::kArray && blocks.number == fields_.blocks &&
        nils.find_first_not_of('\xc0') == nils.npos) {
      reader_.go_to(reader_.at() + nils.size());
      fields_.extra_keys_at = 0;
      return true;
    }
    fields_.extra_keys_at = begin;
    return reader_.skip(values_inside(blocks));
  }

  bool read_extra_keys() {
    const size_t behind = reader_.at();
    reader_.go_to(fields_.extra_keys_at);
    make_room(extras_, fields_.blocks);
    const KvExtraKeys keys = read_kv_extra_keys(reader_,
                                                {.blocks = fields_.blocks,
                                                 .lora_name = fields_.lora_name,
                                                 .begins_sequence = !fields_.parent},
                                                extras_);
    if (keys.unusable != nullptr) return unusable(keys.unusable);
    if (fields_.cache_salt.empty()) fields_.cache_salt = keys.cache_salt;
    fields_.has_extras = keys.has_extras;
    reader_.go_to(behind);
    return true;
  }

  bool tell(KvEventType type) {
    switch (type) {
      case KvEventType::kStored:
        return tell_stored();
      case KvEventType::kRemoved:
        if (fields_.blocks == 0) return unusable("blocks removed, but none named");
        sink_.on_removed({.block_hashes = std::span(hashes_).first(fields_.blocks),
                          .medium = fields_.medium,
                          .group = fields_.group});
        return true;
      case KvEventType::kAllCleared:
        sink_.on_all_cleared();
        return true;
      case KvEventType::kUnknown:
        break;
    }
    return unusable("an event of an unknown type");
  }

  bool tell_stored() {
    if (fields_.extra_keys_at != 0 && !read_extra_keys()) return false;
    if (fields_.blocks == 0) return unusable("blocks stored, but none named");
    if (fields_.has_lora_id && fields_.lora_name.empty()) {
      return unusable("an adapter that is named by its number alone");
    }
    if (fields_.tokens != 0) {
      if (fields_.block_size == 0 || fields_.block_size > limits_.block_size_max) {
        return unusable("block_size is missing, 0, or too large");
      }
      if (fields_.tokens != fields_.blocks * fields_.block_size) {
        return unusable("token_ids are not those of whole blocks");
      }
    }
    sink_.on_stored({.block_hashes = std::span(hashes_).first(fields_.blocks),
                     .parent_block_hash = fields_.parent,
                     .token_ids = std::span(tokens_).first(fields_.tokens),
                     .block_size = fields_.block_size,
                     .medium = fields_.medium,
                     .lora_name = fields_.lora_name,
                     .cache_salt = fields_.cache_salt,
                     .extras = std::span(extras_).first(fields_.has_extras ? fields_.blocks : 0),
                     .group = fields_.group,
                     .spec = fields_.spec});
    return true;
  }

  // Of the event that is being read.
  struct Fields {
    size_t blocks = 0;
    size_t tokens = 0;
    std::optional<uint64_t> parent;
    uint32_t block_size = 0;
    uint32_t group = 0;
    bool has_lora_id = false;
    bool has_extras = false;
    bool in_metadata = false;
    KvMedium medium = KvMedium::kGpu;
    KvSpecKind spec = KvSpecKind::kFull;
    std::string_view lora_name;
    std::string_view cache_salt;
    size_t extra_keys_at = 0;  // 0: there are none
  };

  const KvEventLimits& limits_;
  std::vector<uint64_t>& hashes_;
  std::vector<uint32_t>& tokens_;
  std::vector<uint64_t>& extras_;
  MsgpackReader reader_;
  KvEventSink& sink_;
  KvBatchHead head_;
  Fields fields_;
  const char* unusable_ = nullptr;
};

Result<KvBatchHead> KvEventDecoder::decode(std::string_view batch, KvEventSink& sink) {
  if (batch.size() > limits_.batch_bytes_max) {
    return Error{"KV events: a batch of " + std::to_string(batch.size()) + " bytes, more than " +
                 std::to_string(limits_.batch_bytes_max)};
  }
  return Reader(*this, batch, sink).read();
}

std::optional<uint32_t> data_parallel_rank(std::string_view batch) {
  MsgpackReader reader(batch);
  const MsgpackItem head = reader.next();
  if (head.kind == MsgpackKind::kArray) {
    return head.number > 2 && reader.skip(2) ? rank_of(reader.next()) : std::nullopt;
  }
  if (head.kind != MsgpackKind::kMap) return std::nullopt;
  for (uint64_t pairs = head.number; pairs > 0; --pairs) {
    const MsgpackItem name = reader.next();
    if (names_the_rank(name)) return rank_of(reader.next());
    if (!reader.skip(values_inside(name) + 1)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace kvasir
