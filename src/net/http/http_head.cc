#include "net/http/http_head.h"

#include <algorithm>

#include "base/text.h"

namespace kvasir {
namespace {

// A head that was larger gives its memory back: a connection may be idle for long behind it.
constexpr size_t kKeptHeadBytes = 4 * 1024;
constexpr size_t kKeptFields = 64;

}  // namespace

std::string_view HttpHead::path() const {
  const std::string_view whole = target();
  return whole.substr(0, whole.find('?'));
}

std::optional<std::string_view> HttpHead::find(std::string_view name) const {
  for (const FieldSpan& field : fields_) {
    if (equal_ignoring_case(view(field.name), name)) return view(field.value);
  }
  return std::nullopt;
}

void HttpHead::clear() {
  bytes_.clear();
  fields_.clear();
  if (bytes_.capacity() > kKeptHeadBytes || fields_.capacity() > kKeptFields) {
    bytes_ = std::string();
    fields_ = {};
  }
  method_ = target_ = reason_ = {};
  status_ = 0;
  minor_version_ = 1;
  content_length_.reset();
  chunked_ = false;
  keep_alive_ = true;
}

void HttpHead::set_request_line(std::string_view method, std::string_view target, int minor_version) {
  method_ = store(method);
  target_ = store(target);
  minor_version_ = minor_version;
}

void HttpHead::set_status_line(int status, std::string_view reason, int minor_version) {
  status_ = status;
  reason_ = store(reason);
  minor_version_ = minor_version;
}

void HttpHead::add_field(std::string_view name, std::string_view value) {
  const Span stored_name = store(name);
  fields_.push_back({stored_name, store(value)});
}

void HttpHead::set_field(std::string_view name, std::string_view value) {
  for (FieldSpan& field : fields_) {
    if (!equal_ignoring_case(view(field.name), name)) continue;
    field.value = store(value);
    return;
  }
  add_field(name, value);
}

void HttpHead::remove_fields(std::string_view name) {
  const auto has_name = [&](const FieldSpan& field) {
    return equal_ignoring_case(view(field.name), name);
  };
  fields_.erase(std::remove_if(fields_.begin(), fields_.end(), has_name), fields_.end());
}

void HttpHead::set_framing(std::optional<uint64_t> content_length, bool chunked, bool keep_alive) {
  content_length_ = content_length;
  chunked_ = chunked;
  keep_alive_ = keep_alive;
}

HttpHead::Span HttpHead::store(std::string_view text) {
  const Span span{static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())};
  bytes_.append(text);
  return span;
}

}  // namespace kvasir
