// The safetensors format, as far as one file of a KV cache needs it: 8 bytes with the length of a
// header (little-endian), the header (JSON: of each tensor its type, shape and place), the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct SafeTensor {
  std::string name;
  std::string dtype;  // "F16", "BF16", "F32", ...
  std::vector<uint64_t> shape;
  uint64_t begin = 0, end = 0;  // within the data
};

struct SafeTensors {
  static constexpr size_t kPrefixBytes = 8;
  static constexpr size_t kHeaderBytesMost = size_t{1} << 20;

  std::vector<SafeTensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
  uint64_t data_bytes = 0;

  // nullptr: it does not say.
  const std::string* find_metadata(std::string_view key) const;
};

// How long the header is whose file begins with `prefix` (8 bytes); an error: longer than
// kHeaderBytesMost, or shorter than any.
Result<size_t> safetensors_header_bytes(std::string_view prefix);

// `header`: the JSON alone. Tensors must follow each other without gaps from 0 on, as long as their
// shapes say.
Result<SafeTensors> parse_safetensors_header(std::string_view header);

// All that stands before the data. Precondition: the tensors are as parse_safetensors_header()
// demands.
std::string write_safetensors_header(const SafeTensors& about);

}  // namespace kvasir
