#include "wire/msgpack/msgpack_reader.h"

#include <bit>

namespace kvasir {
namespace {

constexpr const char* kEnds = "the bytes end within a value";

}  // namespace

MsgpackItem MsgpackReader::fail(const char* why) {
  fault_ = why;
  return {};
}

uint64_t MsgpackReader::big_endian(size_t bytes) {
  uint64_t value = 0;
  for (size_t end = at_ + bytes; at_ < end; ++at_) {
    value = value << 8 | static_cast<uint8_t>(bytes_[at_]);
  }
  return value;
}

MsgpackItem MsgpackReader::integer(size_t bytes, bool is_signed) {
  if (!has(bytes)) return fail(kEnds);
  uint64_t value = big_endian(bytes);
  const uint64_t sign = uint64_t{1} << (8 * bytes - 1);
  const bool negative = is_signed && (value & sign) != 0;
  if (negative) value |= ~(sign - 1);
  return {.kind = MsgpackKind::kInteger, .number = value, .negative = negative, .bytes = {}};
}

MsgpackItem MsgpackReader::real(size_t bytes) {
  if (!has(bytes)) return fail(kEnds);
  const uint64_t bits = big_endian(bytes);
  const double value =
      bytes == 8 ? std::bit_cast<double>(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits));
  return {.kind = MsgpackKind::kReal, .real = value, .bytes = {}};
}

MsgpackItem MsgpackReader::content(MsgpackKind kind, uint64_t bytes) {
  if (!has(bytes)) return fail("a text is longer than what is left of the bytes");
  const std::string_view view = bytes_.substr(at_, bytes);
  at_ += bytes;
  return {.kind = kind, .bytes = view};
}

MsgpackItem MsgpackReader::content_of_length(MsgpackKind kind, size_t length_bytes) {
  if (!has(length_bytes)) return fail(kEnds);
  const uint64_t type = kind == MsgpackKind::kExtension ? 1 : 0;  // its type stands before it
  return content(kind, big_endian(length_bytes) + type);
}

MsgpackItem MsgpackReader::container(MsgpackKind kind, uint64_t values) {
  // Each value takes a byte at least, so whoever makes room for all of them stays within bounds.
  if (!has(kind == MsgpackKind::kMap ? 2 * values : values)) {
    return fail("an array or a map has more values than what is left of the bytes");
  }
  return {.kind = kind, .number = values, .bytes = {}};
}

MsgpackItem MsgpackReader::container_of_length(MsgpackKind kind, size_t length_bytes) {
  if (!has(length_bytes)) return fail(kEnds);
  return container(kind, big_endian(length_bytes));
}

MsgpackItem MsgpackReader::next() {
  if (fault_ != nullptr) return {};
  if (!has(1)) return fail(kEnds);
  const uint8_t head = static_cast<uint8_t>(bytes_[at_++]);
  if (head < 0x80) return {.kind = MsgpackKind::kInteger, .number = head, .bytes = {}};
  if (head < 0x90) return container(MsgpackKind::kMap, head & 0x0f);
  if (head < 0xa0) return container(MsgpackKind::kArray, head & 0x0f);
  if (head < 0xc0) return content(MsgpackKind::kText, head & 0x1f);
  if (head >= 0xe0) {
    const uint64_t number = ~uint64_t{0xff} | head;
    return {.kind = MsgpackKind::kInteger, .number = number, .negative = true, .bytes = {}};
  }
  switch (head) {
    case 0xc0:
      return {.kind = MsgpackKind::kNil, .bytes = {}};
    case 0xc2:
    case 0xc3:
      return {.kind = MsgpackKind::kBool, .number = head & 1u, .bytes = {}};
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return content_of_length(MsgpackKind::kBytes, size_t{1} << (head - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return content_of_length(MsgpackKind::kExtension, size_t{1} << (head - 0xc7));
    case 0xca:
    case 0xcb:
      return real(head == 0xca ? 4 : 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return integer(size_t{1} << (head - 0xcc), false);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return integer(size_t{1} << (head - 0xd0), true);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return content(MsgpackKind::kExtension, 1 + (uint64_t{1} << (head - 0xd4)));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return content_of_length(MsgpackKind::kText, size_t{1} << (head - 0xd9));
    case 0xdc:
    case 0xdd:
      return container_of_length(MsgpackKind::kArray, size_t{2} << (head - 0xdc));
    case 0xde:
    case 0xdf:
      return container_of_length(MsgpackKind::kMap, size_t{2} << (head - 0xde));
    default:  // 0xc1
      return fail("a byte that msgpack does not have");
  }
}

bool MsgpackReader::skip(uint64_t values) {
  // Counting what is still to come, instead of going into each, makes depth cost nothing.
  for (uint64_t left = values; left > 0; --left) {
    const MsgpackItem item = next();
    if (item.kind == MsgpackKind::kNothing) return false;
    left += values_inside(item);
  }
  return true;
}

}  // namespace kvasir
