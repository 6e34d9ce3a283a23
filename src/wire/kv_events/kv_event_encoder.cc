#include "wire/kv_events/kv_event_encoder.h"

#include <algorithm>
#include <bit>
#include <span>

namespace kvasir {
namespace {

// Each of these appends one value, or the head of one, in its shortest form.
void put_bytes(std::string& out, uint8_t head, uint64_t number, size_t bytes) {
  out.push_back(static_cast<char>(head));
  for (size_t i = bytes; i > 0; --i) out.push_back(static_cast<char>(number >> (8 * (i - 1))));
}

void put_nil(std::string& out) {
  out.push_back('\xc0');
}

void put_number(std::string& out, uint64_t number) {
  if (number < 0x80) return out.push_back(static_cast<char>(number));
  if (number <= UINT8_MAX) return put_bytes(out, 0xcc, number, 1);
  if (number <= UINT16_MAX) return put_bytes(out, 0xcd, number, 2);
  if (number <= UINT32_MAX) return put_bytes(out, 0xce, number, 4);
  put_bytes(out, 0xcf, number, 8);
}

void put_real(std::string& out, double number) {
  put_bytes(out, 0xcb, std::bit_cast<uint64_t>(number), 8);
}

void put_array(std::string& out, size_t values) {
  if (values < 16) return out.push_back(static_cast<char>(0x90 | values));
  if (values <= UINT16_MAX) return put_bytes(out, 0xdc, values, 2);
  put_bytes(out, 0xdd, values, 4);
}

void put_map(std::string& out, size_t pairs) {  // of fewer than 16
  out.push_back(static_cast<char>(0x80 | pairs));
}

void put_text(std::string& out, std::string_view text) {
  if (text.size() < 32) {
    out.push_back(static_cast<char>(0xa0 | text.size()));
  } else if (text.size() <= UINT8_MAX) {
    put_bytes(out, 0xd9, text.size(), 1);
  } else if (text.size() <= UINT16_MAX) {
    put_bytes(out, 0xda, text.size(), 2);
  } else {
    put_bytes(out, 0xdb, text.size(), 4);
  }
  out += text;
}

void put_text_or_nil(std::string& out, std::string_view text) {
  if (text.empty()) return put_nil(out);
  put_text(out, text);
}

template <class Number>
void put_numbers(std::string& out, std::span<const Number> numbers) {
  put_array(out, numbers.size());
  for (const Number number : numbers) put_number(out, number);
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
  put_array(batch_, 3);
  put_real(batch_, timestamp);
}

void KvEventEncoder::stored(const KvBlocksStored& event) {
  ++events_;
  const bool map = form_ == KvEventForm::kMap;
  // Arrays leave out what stands last and is as it always is.
  const bool more = map || has_keys(event) || event.group != 0 || event.spec != KvSpecKind::kFull;
  const auto field = [&](std::string_view name) {
    if (map) put_text(body_, name);
  };
  if (map) {
    put_map(body_, 11);
  } else {
    put_array(body_, more ? 11 : 8);
  }
  field("type");
  put_text(body_, "BlockStored");
  field("block_hashes");
  put_numbers(body_, event.block_hashes);
  field("parent_block_hash");
  if (event.parent_block_hash) {
    put_number(body_, *event.parent_block_hash);
  } else {
    put_nil(body_);
  }
  field("token_ids");
  put_numbers(body_, event.token_ids);
  field("block_size");
  put_number(body_, event.block_size);
  field("lora_id");
  put_nil(body_);
  field("medium");
  put_text(body_, kv_medium_name(event.medium));
  field("lora_name");
  put_text_or_nil(body_, event.lora_name);
  if (!more) return;
  field("extra_keys");
  extra_keys(event);
  field("group_idx");
  put_number(body_, event.group);
  field("kv_cache_spec_kind");
  put_text(body_, event.spec == KvSpecKind::kFull ? "full_attention" : "sliding_window");
}

void KvEventEncoder::extra_keys(const KvBlocksStored& event) {
  put_array(body_, event.block_hashes.size());
  for (size_t block = 0; block < event.block_hashes.size(); ++block) keys_of_block(event, block);
}

void KvEventEncoder::keys_of_block(const KvBlocksStored& event, size_t block) {
  const bool lora = !event.lora_name.empty();
  const bool salt = has_salt(event, block);
  const uint64_t extra = extra_of(event, block);
  const size_t keys = size_t{lora} + size_t{salt} + (extra != 0 ? 1 : 0);
  if (keys == 0) return put_nil(body_);
  put_array(body_, keys);
  if (lora) put_text(body_, event.lora_name);
  if (salt) put_text(body_, event.cache_salt);
  if (extra == 0) return;
  put_bytes(body_, 0xc4, 8, 1);
  for (int shift = 56; shift >= 0; shift -= 8) body_.push_back(static_cast<char>(extra >> shift));
}

void KvEventEncoder::removed(const KvBlocksRemoved& event) {
  ++events_;
  const bool map = form_ == KvEventForm::kMap;
  const bool more = map || event.group != 0;
  const auto field = [&](std::string_view name) {
    if (map) put_text(body_, name);
  };
  if (map) {
    put_map(body_, 4);
  } else {
    put_array(body_, more ? 4 : 3);
  }
  field("type");
  put_text(body_, "BlockRemoved");
  field("block_hashes");
  put_numbers(body_, event.block_hashes);
  field("medium");
  put_text(body_, kv_medium_name(event.medium));
  if (!more) return;
  field("group_idx");
  put_number(body_, event.group);
}

void KvEventEncoder::all_cleared() {
  ++events_;
  if (form_ == KvEventForm::kMap) {
    put_map(body_, 1);
    put_text(body_, "type");
  } else {
    put_array(body_, 1);
  }
  put_text(body_, "AllBlocksCleared");
}

const std::string& KvEventEncoder::finish(uint32_t data_parallel_rank) {
  put_array(batch_, events_);
  batch_ += body_;
  put_number(batch_, data_parallel_rank);
  return batch_;
}

}  // namespace kvasir
