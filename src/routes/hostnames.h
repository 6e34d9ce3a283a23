// Host names as listeners and routes of the Gateway API have them: one name, or "*." and the end of
// names; empty: any. All lower case. "*.example.com" is for names with any number of labels in
// front, and not for example.com itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// Whether `host` (no port) is one of `pattern`'s.
bool hostname_matches(std::string_view pattern, std::string_view host);

// The names that belong to both; nullopt: none.
std::optional<std::string> hostname_intersection(std::string_view a, std::string_view b);

// What comes first: a name before every wildcard, wildcards with more labels before others, any
// name last. Source: the Gateway API on listeners, and on `hostnames` of a HTTPRoute.
bool is_more_specific_hostname(std::string_view a, std::string_view b);

// Of a Host field: lower case, without port and a last dot. The brackets of an IPv6 address stay.
std::string_view host_without_port(std::string_view authority);

}  // namespace kvasir
