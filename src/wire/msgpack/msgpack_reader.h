// Reads msgpack from front to back, in place: heads and numbers by value, texts as views. It knows
// nothing of what the values mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvasir {

enum class MsgpackKind : uint8_t {
  kNothing,  // the bytes end here, or are not msgpack: MsgpackReader::fault()
  kNil,
  kBool,
  kInteger,
  kReal,
  kText,
  kBytes,
  kArray,
  kMap,
  kExtension
};

struct MsgpackItem {
  MsgpackKind kind = MsgpackKind::kNothing;
  // kBool: 0 or 1. kInteger: its 64 bits, two's complement when `negative`. kArray and kMap: how
  // many values (of a map, pairs) follow; that many fit into what is left of the bytes.
  uint64_t number = 0;
  bool negative = false;
  double real = 0;         // kReal
  std::string_view bytes;  // kText, kBytes, kExtension
};

// How many values follow that belong to `item`.
inline uint64_t values_inside(const MsgpackItem& item) {
  if (item.kind == MsgpackKind::kMap) return 2 * item.number;
  return item.kind == MsgpackKind::kArray ? item.number : 0;
}

class MsgpackReader {
 public:
  explicit MsgpackReader(std::string_view bytes) : bytes_(bytes) {}

  // The next value; of an array or a map its head alone, and its values come next.
  MsgpackItem next();
  // Goes over whole values, with all that is in them, however deep. False: fault().
  bool skip(uint64_t values = 1);

  size_t at() const { return at_; }
  void go_to(size_t at) { at_ = at; }
  std::string_view rest() const { return bytes_.substr(at_); }
  // Why the bytes cannot be read on at at(); nullptr: they can.
  const char* fault() const { return fault_; }
  MsgpackItem fail(const char* why);

 private:
  bool has(uint64_t bytes) const { return bytes <= bytes_.size() - at_; }
  uint64_t big_endian(size_t bytes);  // has() them
  MsgpackItem integer(size_t bytes, bool is_signed);
  MsgpackItem real(size_t bytes);
  MsgpackItem content(MsgpackKind kind, uint64_t bytes);
  MsgpackItem content_of_length(MsgpackKind kind, size_t length_bytes);
  MsgpackItem container(MsgpackKind kind, uint64_t values);
  MsgpackItem container_of_length(MsgpackKind kind, size_t length_bytes);

  std::string_view bytes_;
  size_t at_ = 0;
  const char* fault_ = nullptr;
};

}  // namespace kvasir
