// The header fields of one request, kept for as long as it is decided on. Names in lower case.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "epp/control_headers.h"
#include "model/request.h"
#include "wire/ext_proc/ext_proc.h"

namespace kvasir {

class RequestHead {
 public:
  // False, and nothing is kept, when they are longer than `bytes_max` together.
  bool take(std::span<const ExtProcHeader> headers, size_t bytes_max);

  std::span<const RequestHeader> fields() const { return fields_; }
  // The first of that name; empty when there is none.
  std::string_view find(std::string_view name) const;
  std::string_view find(const AliasedHeader& header) const;
  bool has(std::string_view name) const;

  // Gives the memory back: an answer may stream for minutes.
  void release();

 private:
  std::string bytes_;
  std::vector<RequestHeader> fields_;
};

}  // namespace kvasir
