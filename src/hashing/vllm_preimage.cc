#include "hashing/vllm_preimage.h"

#include <optional>

#include "hashing/cbor_writer.h"

namespace kvasir {
namespace {

size_t parts_of(const VllmExtraKey& key) {
  return key.parts.size() + (key.tag.empty() ? 0 : 1);
}

void put_cbor_key(const VllmExtraKey& key, std::string& out) {
  if (key.is_tuple) put_cbor_head(out, CborMajor::kArray, parts_of(key));
  if (!key.tag.empty()) put_cbor_text(out, key.tag);
  for (const auto& part : key.parts) {
    if (const auto* text = std::get_if<std::string_view>(&part)) {
      put_cbor_text(out, *text);
    } else {
      put_cbor_number(out, std::get<int64_t>(part));
    }
  }
}

// Protocol 5. Each text, bytes and tuple gets a number when it is complete, by which pickle names
// an object that comes again.
class PickleWriter {
 public:
  explicit PickleWriter(std::string& out) : out_(out), begin_(out.size()) {
    out_.append("\x80\x05\x95").append(8, '\0');
  }

  // Precondition: nothing was written for longer than a frame.
  void finish() {
    out_.push_back('.');
    const uint64_t bytes = out_.size() - begin_ - kHeadBytes;
    for (size_t i = 0; i < 8; ++i) out_[begin_ + 3 + i] = static_cast<char>(bytes >> (8 * i));
  }

  void none() { out_.push_back('N'); }

  void bytes(std::string_view content) {  // of fewer than 256
    out_.push_back('C');
    out_.push_back(static_cast<char>(content.size()));
    out_ += content;
    memoize();
  }

  void text(std::string_view content) {
    if (content.size() <= UINT8_MAX) {
      out_.push_back('\x8c');
      out_.push_back(static_cast<char>(content.size()));
    } else {
      out_.push_back('X');
      little_endian(content.size(), 4);
    }
    out_ += content;
    memoize();
  }

  // A text that is the same object each time.
  void tag(std::string_view content) {
    if (content == last_tag_) {
      out_.push_back('h');
      out_.push_back(static_cast<char>(number_of_last_tag_));
      return;
    }
    last_tag_ = content;
    number_of_last_tag_ = memoized_;
    text(content);
  }

  void number(int64_t value) {
    if (value >= 0 && value <= UINT8_MAX) {
      out_.push_back('K');
      little_endian(static_cast<uint64_t>(value), 1);
    } else if (value >= 0 && value <= UINT16_MAX) {
      out_.push_back('M');
      little_endian(static_cast<uint64_t>(value), 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      out_.push_back('J');
      little_endian(static_cast<uint64_t>(value), 4);
    } else {
      long_number(value);
    }
  }

  // Around the values of a tuple.
  void begin_tuple(size_t values) {
    if (values > 3) out_.push_back('(');
  }
  void end_tuple(size_t values) {
    if (values == 0) return out_.push_back(')');
    out_.push_back(values > 3 ? 't' : static_cast<char>(0x84 + values));
    memoize();
  }

 private:
  static constexpr size_t kHeadBytes = 11;

  void memoize() {
    out_.push_back('\x94');
    ++memoized_;
  }

  void little_endian(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
  }

  void long_number(int64_t value) {  // in as few bytes as keep its sign
    size_t bytes = 8;
    while (bytes > 1 && value >> (8 * bytes - 9) == (value < 0 ? -1 : 0)) --bytes;
    out_.push_back('\x8a');
    out_.push_back(static_cast<char>(bytes));
    little_endian(static_cast<uint64_t>(value), bytes);
  }

  std::string& out_;
  const size_t begin_;
  size_t memoized_ = 0;
  std::string_view last_tag_;
  size_t number_of_last_tag_ = 0;
};

void put_pickle_key(const VllmExtraKey& key, PickleWriter& pickle) {
  if (key.is_tuple) pickle.begin_tuple(parts_of(key));
  if (!key.tag.empty()) pickle.tag(key.tag);
  for (const auto& part : key.parts) {
    if (const auto* text = std::get_if<std::string_view>(&part)) {
      pickle.text(*text);
    } else {
      pickle.number(std::get<int64_t>(part));
    }
  }
  if (key.is_tuple) pickle.end_tuple(parts_of(key));
}

}  // namespace

void append_cbor(std::string_view text, std::string& out) {
  put_cbor_text(out, text);
}

void append_pickle(std::string_view text, std::string& out) {
  PickleWriter pickle(out);
  pickle.text(text);
  pickle.finish();
}

void append_cbor(const VllmBlock& block, std::string& out) {
  put_cbor_head(out, CborMajor::kArray, 3);
  put_cbor_head(out, CborMajor::kBytes, block.parent.size());
  out += block.parent;
  put_cbor_head(out, CborMajor::kArray, block.tokens.size());
  for (const uint32_t token : block.tokens) put_cbor_head(out, CborMajor::kUnsigned, token);
  if (block.keys.empty()) return put_cbor_null(out);
  put_cbor_head(out, CborMajor::kArray, block.keys.size());
  for (const VllmExtraKey& key : block.keys) put_cbor_key(key, out);
}

void append_pickle(const VllmBlock& block, std::string& out) {
  PickleWriter pickle(out);
  pickle.bytes(block.parent);
  pickle.begin_tuple(block.tokens.size());
  for (const uint32_t token : block.tokens) pickle.number(token);
  pickle.end_tuple(block.tokens.size());
  if (block.keys.empty()) {
    pickle.none();
  } else {
    pickle.begin_tuple(block.keys.size());
    for (const VllmExtraKey& key : block.keys) put_pickle_key(key, pickle);
    pickle.end_tuple(block.keys.size());
  }
  pickle.end_tuple(3);
  pickle.finish();
}

}  // namespace kvasir
