// The head of an HTTP/1 message: request or status line, fields, and how the body is framed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// A value that owns its bytes; the views it gives die with it or with the next change.
class HttpHead {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  std::string_view method() const { return view(method_); }  // requests
  std::string_view target() const { return view(target_); }  // requests; with the query
  std::string_view path() const;                             // target() without the query
  int status() const { return status_; }                     // responses
  std::string_view reason() const { return view(reason_); }  // responses
  int minor_version() const { return minor_version_; }       // of HTTP/1

  size_t field_count() const { return fields_.size(); }
  Field field(size_t index) const {
    return {view(fields_[index].name), view(fields_[index].value)};
  }
  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;

  std::optional<uint64_t> content_length() const { return content_length_; }
  bool chunked() const { return chunked_; }
  bool keep_alive() const { return keep_alive_; }

  void clear();
  void set_request_line(std::string_view method, std::string_view target, int minor_version);
  void set_status_line(int status, std::string_view reason, int minor_version);
  void add_field(std::string_view name, std::string_view value);
  // Replaces the request's target. Views that were given before are invalid.
  void set_target(std::string_view target) { target_ = store(target); }
  // Replaces the value of the first field of that name, or adds the field.
  void set_field(std::string_view name, std::string_view value);
  // Every field of that name.
  void remove_fields(std::string_view name);
  void set_framing(std::optional<uint64_t> content_length, bool chunked, bool keep_alive);

 private:
  struct Span {
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  struct FieldSpan {
    Span name;
    Span value;
  };

  Span store(std::string_view text);
  std::string_view view(Span span) const { return {bytes_.data() + span.begin, span.size}; }

  std::string bytes_;
  std::vector<FieldSpan> fields_;
  Span method_, target_, reason_;
  int status_ = 0;
  int minor_version_ = 1;
  std::optional<uint64_t> content_length_;
  bool chunked_ = false;
  bool keep_alive_ = true;
};

}  // namespace kvasir
