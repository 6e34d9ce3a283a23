#include "wire/kv_events/kv_event_encoder.h"

#include <algorithm>
#include <span>

#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

void put_text_or_nil(std::string& out, std::string_view text) {
  if (text.empty()) return append_msgpack_nil(out);
  append_msgpack_text(out, text);
}

template <class Number>
void put_numbers(std::string& out, std::span<const Number> numbers) {
  append_msgpack_array(out, numbers.size());
  for (const Number number : numbers) append_msgpack_number(out, number);
}

uint64_t extra_of(const KvBlocksStored& event, size_t block) {
  return block < event.extras.size() ? event.extras[block] : 0;
}

bool has_salt(const KvBlocksStored& event, size_t block) {
  return block == 0 && !event.parent_block_hash && !event.cache_salt.empty();
}

bool has_keys(const KvBlocksStored& event) {
  return !event.lora_name.empty() || has_salt(event, 0) ||
         std::any_of(event.extras.begin(), event.extras.end(),
                     [](uint64_t extra) { return extra != 0; });
}

}  // namespace

void KvEventEncoder::begin(double timestamp) {
  batch_.clear();
  body_.clear();
  events_ = 0;
  append_msgpack_array(batch_, 3);
  append_msgpack_real(batch_, timestamp);
}

void KvEventEncoder::stored(const KvBlocksStored& event) {
  ++events_;
  const bool map = form_ == KvEventForm::kMap;
  // Arrays leave out what stands last and is as it always is.
  const bool more = map || has_keys(event) || event.group != 0 || event.spec != KvSpecKind::kFull;
  const auto field = [&](std::string_view name) {
    if (map) append_msgpack_text(body_, name);
  };
  if (map) {
    append_msgpack_map(body_, 11);
  } else {
    append_msgpack_array(body_, more ? 11 : 8);
  }
  field("type");
  append_msgpack_text(body_, "BlockStored");
  field("block_hashes");
  put_numbers(body_, event.block_hashes);
  field("parent_block_hash");
  if (event.parent_block_hash) {
    append_msgpack_number(body_, *event.parent_block_hash);
  } else {
    append_msgpack_nil(body_);
  }
  field("token_ids");
  put_numbers(body_, event.token_ids);
  field("block_size");
  append_msgpack_number(body_, event.block_size);
  field("lora_id");
  append_msgpack_nil(body_);
  field("medium");
  append_msgpack_text(body_, kv_medium_name(event.medium));
  field("lora_name");
  put_text_or_nil(body_, event.lora_name);
  if (!more) return;
  field("extra_keys");
  extra_keys(event);
  field("group_idx");
  append_msgpack_number(body_, event.group);
  field("kv_cache_spec_kind");
  append_msgpack_text(body_, event.spec == KvSpecKind::kFull ? "full_attention" : "sliding_window");
}

void KvEventEncoder::extra_keys(const KvBlocksStored& event) {
  append_msgpack_array(body_, event.block_hashes.size());
  for (size_t block = 0; block < event.block_hashes.size(); ++block) keys_of_block(event, block);
}

void KvEventEncoder::keys_of_block(const KvBlocksStored& event, size_t block) {
  const bool lora = !event.lora_name.empty();
  const bool salt = has_salt(event, block);
  const uint64_t extra = extra_of(event, block);
  const size_t keys = size_t{lora} + size_t{salt} + (extra != 0 ? 1 : 0);
  if (keys == 0) return append_msgpack_nil(body_);
  append_msgpack_array(body_, keys);
  if (lora) append_msgpack_text(body_, event.lora_name);
  if (salt) append_msgpack_text(body_, event.cache_salt);
  if (extra == 0) return;
  append_msgpack_head(body_, 0xc4, 8, 1);
  for (int shift = 56; shift >= 0; shift -= 8) body_.push_back(static_cast<char>(extra >> shift));
}

void KvEventEncoder::removed(const KvBlocksRemoved& event) {
  ++events_;
  const bool map = form_ == KvEventForm::kMap;
  const bool more = map || event.group != 0;
  const auto field = [&](std::string_view name) {
    if (map) append_msgpack_text(body_, name);
  };
  if (map) {
    append_msgpack_map(body_, 4);
  } else {
    append_msgpack_array(body_, more ? 4 : 3);
  }
  field("type");
  append_msgpack_text(body_, "BlockRemoved");
  field("block_hashes");
  put_numbers(body_, event.block_hashes);
  field("medium");
  append_msgpack_text(body_, kv_medium_name(event.medium));
  if (!more) return;
  field("group_idx");
  append_msgpack_number(body_, event.group);
}

void KvEventEncoder::all_cleared() {
  ++events_;
  if (form_ == KvEventForm::kMap) {
    append_msgpack_map(body_, 1);
    append_msgpack_text(body_, "type");
  } else {
    append_msgpack_array(body_, 1);
  }
  append_msgpack_text(body_, "AllBlocksCleared");
}

const std::string& KvEventEncoder::finish(uint32_t data_parallel_rank) {
  append_msgpack_array(batch_, events_);
  batch_ += body_;
  append_msgpack_number(batch_, data_parallel_rank);
  return batch_;
}

}  // namespace kvasir
