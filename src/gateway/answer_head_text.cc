#include "gateway/answer_head_text.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace kvasir {

int status_in(std::string_view head) {
  int status = 0;
  const std::string_view digits =
      head.substr(std::min(head.find(' '), head.size() - 1) + 1).substr(0, 3);
  std::from_chars(digits.data(), digits.data() + digits.size(), status);
  return status;
}

std::string_view fields_in(std::string_view head) {
  head.remove_prefix(std::min(head.find("\r\n") + 2, head.size()));
  head.remove_suffix(std::min<size_t>(2, head.size()));
  return head;
}

std::string_view field_in(std::string_view fields, std::string_view name) {
  while (!fields.empty()) {
    const size_t end = std::min(fields.find("\r\n"), fields.size());
    const std::string_view line = fields.substr(0, end);
    const size_t colon = std::min(line.find(':'), line.size());
    if (equal_ignoring_case(line.substr(0, colon), name)) {
      return trimmed(line.substr(std::min(colon + 1, line.size())));
    }
    fields.remove_prefix(std::min(end + 2, fields.size()));
  }
  return {};
}

}  // namespace kvasir
