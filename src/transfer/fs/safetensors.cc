#include "transfer/fs/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "base/little_endian.h"
#include "base/value.h"
#include "wire/json/json_text.h"
#include "wire/json/json_value.h"

namespace kvasir {
namespace {

constexpr size_t kHeaderValuesMost = 100'000;
constexpr size_t kDimensionsMost = 16;

struct TensorType {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<TensorType, 14> kTensorTypes = {{{"F64", 8},
                                                      {"F32", 4},
                                                      {"F16", 2},
                                                      {"BF16", 2},
                                                      {"I64", 8},
                                                      {"I32", 4},
                                                      {"I16", 2},
                                                      {"I8", 1},
                                                      {"U64", 8},
                                                      {"U32", 4},
                                                      {"U16", 2},
                                                      {"U8", 1},
                                                      {"F8_E4M3", 1},
                                                      {"BOOL", 1}}};

// nullopt: more than 64 bits.
std::optional<uint64_t> product(uint64_t a, uint64_t b) {
  if (a != 0 && b > std::numeric_limits<uint64_t>::max() / a) return std::nullopt;
  return a * b;
}

std::optional<std::vector<uint64_t>> read_sizes(const Value* value, size_t most) {
  const Value::List* list = value == nullptr ? nullptr : value->list();
  if (list == nullptr || list->size() > most) return std::nullopt;
  std::vector<uint64_t> sizes;
  for (const Value& entry : *list) {
    const int64_t* size = entry.integer();
    if (size == nullptr || *size < 0) return std::nullopt;
    sizes.push_back(static_cast<uint64_t>(*size));
  }
  return sizes;
}

Result<SafeTensor> read_tensor(const std::string& name, const Value& value) {
  const auto wrong = [&](const char* what) {
    return Error{"tensor \"" + name.substr(0, 100) + "\": " + what};
  };
  const Value* const dtype = value.find("dtype");
  const auto shape = read_sizes(value.find("shape"), kDimensionsMost);
  const auto offsets = read_sizes(value.find("data_offsets"), 2);
  if (dtype == nullptr || dtype->text() == nullptr) return wrong("dtype is not a text");
  if (!shape) return wrong("shape is not a list of sizes");
  if (!offsets || offsets->size() != 2) return wrong("data_offsets are not two offsets");

  const auto* type = std::find_if(kTensorTypes.begin(), kTensorTypes.end(),
                                  [&](const TensorType& t) { return t.name == *dtype->text(); });
  if (type == kTensorTypes.end()) return wrong("dtype is not known");
  std::optional<uint64_t> bytes = type->bytes;
  for (const uint64_t size : *shape) {
    if (bytes) bytes = product(*bytes, size);
  }
  const uint64_t begin = (*offsets)[0], end = (*offsets)[1];
  if (!bytes || end < begin || end - begin != *bytes) return wrong("shape and data_offsets differ");
  return SafeTensor{name, *dtype->text(), *shape, begin, end};
}

Result<void> read_metadata(const Value& value, SafeTensors& about) {
  const Error wrong{"__metadata__ is not a map of texts"};
  if (value.map() == nullptr) return wrong;
  for (const auto& [key, entry] : *value.map()) {
    if (entry.text() == nullptr) return wrong;
    about.metadata.emplace_back(key, *entry.text());
  }
  return {};
}

}  // namespace

const std::string* SafeTensors::find_metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<size_t> safetensors_header_bytes(std::string_view prefix) {
  if (prefix.size() < SafeTensors::kPrefixBytes) return Error{"it ends before its header"};
  const auto bytes = read_little_endian<uint64_t>(prefix.data());
  if (bytes < 2 || bytes > SafeTensors::kHeaderBytesMost) {
    return Error{"its header claims " + std::to_string(bytes) + " bytes"};
  }
  return static_cast<size_t>(bytes);
}

Result<SafeTensors> parse_safetensors_header(std::string_view header) {
  if (header.size() > SafeTensors::kHeaderBytesMost || header.empty() || header.front() != '{' ||
      !is_json(header)) {
    return Error{"its header is not a JSON object"};
  }
  const std::variant<Value, Remark> parsed = parse_json_value(header, kHeaderValuesMost);
  if (const Remark* problem = std::get_if<Remark>(&parsed)) {
    return Error{"its header: " + problem->text};
  }
  SafeTensors about;
  for (const auto& [name, value] : *std::get<Value>(parsed).map()) {
    if (name == "__metadata__") {
      if (const Result<void> read = read_metadata(value, about); !read) return read.error();
      continue;
    }
    Result<SafeTensor> tensor = read_tensor(name, value);
    if (!tensor) return tensor.error();
    about.tensors.push_back(std::move(tensor).value());
  }
  std::sort(about.tensors.begin(), about.tensors.end(),
            [](const SafeTensor& a, const SafeTensor& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  for (const SafeTensor& tensor : about.tensors) {
    if (tensor.begin != about.data_bytes) return Error{"its tensors overlap or leave gaps"};
    about.data_bytes = tensor.end;
  }
  return about;
}

std::string write_safetensors_header(const SafeTensors& about) {
  std::string json = "{";
  const auto key = [&](std::string_view name) {
    if (json.size() > 1) json += ',';
    append_json_string(name, json);
    json += ':';
  };
  if (!about.metadata.empty()) {
    key("__metadata__");
    char before = '{';
    for (const auto& [name, value] : about.metadata) {
      json += std::exchange(before, ',');
      append_json_string(name, json);
      json += ':';
      append_json_string(value, json);
    }
    json += '}';
  }
  for (const SafeTensor& tensor : about.tensors) {
    key(tensor.name);
    json += "{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      json.append(i == 0 ? "" : ",").append(std::to_string(tensor.shape[i]));
    }
    json.append("],\"data_offsets\":[").append(std::to_string(tensor.begin));
    json.append(",").append(std::to_string(tensor.end)).append("]}");
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');  // the data begins at a multiple of 8
  std::string bytes;
  append_little_endian(uint64_t{json.size()}, bytes);
  return bytes + json;
}

}  // namespace kvasir
