// What names, labels and times of Kubernetes objects look like.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

// RFC 1123: lower case letters, digits, '-', and '.' between labels; 253 bytes at most.
bool is_dns_subdomain(std::string_view name);
bool is_dns_label(std::string_view name);  // without '.', 63 bytes at most

// "app", "example.com/app": the API reference's qualified name.
bool is_label_key(std::string_view key);
bool is_label_value(std::string_view value);  // may be empty

// IPv4 or IPv6.
bool is_ip_address(std::string_view text);

// "2026-01-31T08:00:00.5+01:00" as seconds since 1970, fractions cut off.
std::optional<int64_t> rfc3339_seconds(std::string_view text);

}  // namespace kvasir
