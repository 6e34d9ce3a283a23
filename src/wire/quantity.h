// Kubernetes quantities: "512Mi", "1G", "5000", "1e3", 1.5Gi.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

// The whole number that the text stands for; nullopt when it is none, is negative, is no whole
// number or does not fit 63 bits.
std::optional<uint64_t> parse_quantity(std::string_view text);

}  // namespace kvasir
