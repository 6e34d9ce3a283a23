// Which fields of a message a proxy does not pass on, because they belong to one connection.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace kvasir {

class HttpHead;

// Whether a program behind the next one may read `name` as `known`: "Content_Length" as the field
// that has a hyphen there.
bool reads_as(std::string_view name, std::string_view known);
bool reads_as_any(std::string_view name, std::span<const std::string_view> known);

// RFC 9110, 7.6.1: the fields of connections and framing, and those that the message's Connection
// fields name. A view of the head.
class HopFields {
 public:
  explicit HopFields(const HttpHead& head);
  bool hold(std::string_view name) const;

 private:
  void add(std::string_view list);

  std::vector<std::string_view> named_;
};

}  // namespace kvasir
