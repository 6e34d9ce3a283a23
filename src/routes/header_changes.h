// What header modifiers of routes make of header fields. Names are compared without case. What a
// modifier removes goes first, then it sets, then it adds behind the fields that are there.
#pragma once

#include <string>
#include <string_view>

#include "net/http/http_head.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

void change_head(const HeaderModifier& modifier, HttpHead& head);

// `fields`: lines, each "Name: value\r\n".
std::string changed_fields(const HeaderModifier& modifier, std::string_view fields);

// The lines for whose name `f` is false.
template <class F>
std::string fields_without(std::string_view fields, F&& f) {
  std::string kept;
  kept.reserve(fields.size());
  while (!fields.empty()) {
    const size_t end = fields.find("\r\n");
    const size_t next = end == fields.npos ? fields.size() : end + 2;
    const std::string_view line = fields.substr(0, next);
    if (!f(line.substr(0, line.find(':')))) kept.append(line);
    fields.remove_prefix(next);
  }
  return kept;
}

}  // namespace kvasir
