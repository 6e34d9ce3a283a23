#include "epp/request_head.h"

#include <utility>

#include "base/text.h"

namespace kvasir {

bool RequestHead::take(std::span<const ExtProcHeader> headers, size_t bytes_max) {
  size_t size = 0;
  for (const ExtProcHeader& header : headers) size += header.key.size() + header.value.size();
  if (size > bytes_max) return false;
  bytes_.clear();
  bytes_.reserve(size);  // the views below must not move
  fields_.clear();
  fields_.reserve(headers.size());
  for (const ExtProcHeader& header : headers) {
    const size_t begin = bytes_.size();
    for (const char c : header.key) bytes_ += lower_case(c);
    bytes_.append(header.value);
    const std::string_view both = std::string_view(bytes_).substr(begin);
    fields_.push_back({both.substr(0, header.key.size()), both.substr(header.key.size())});
  }
  return true;
}

std::string_view RequestHead::find(std::string_view name) const {
  for (const RequestHeader& field : fields_) {
    if (field.name == name) return field.value;
  }
  return {};
}

std::string_view RequestHead::find(const AliasedHeader& header) const {
  const std::string_view value = find(header.name);
  return value.empty() ? find(header.alias) : value;
}

bool RequestHead::has(std::string_view name) const {
  for (const RequestHeader& field : fields_) {
    if (field.name == name) return true;
  }
  return false;
}

void RequestHead::release() {
  bytes_ = std::string();
  fields_ = {};
}

}  // namespace kvasir
