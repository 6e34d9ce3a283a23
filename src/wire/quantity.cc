#include "wire/quantity.h"

#include <charconv>
#include <cmath>

namespace kvasir {
namespace {

// 0: no such suffix.
double factor_of(std::string_view suffix) {
  if (suffix.empty()) return 1;
  const bool binary = suffix.size() == 2 && suffix[1] == 'i';
  if (suffix.size() > 1 && !binary) return 0;
  if (suffix == "k") return 1e3;
  if (suffix == "m") return 1e-3;
  const size_t power = std::string_view("KMGTPE").find(suffix[0]);
  if (power == std::string_view::npos || suffix == "K") return 0;
  return std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(power + 1));
}

}  // namespace

std::optional<uint64_t> parse_quantity(std::string_view text) {
  if (text.empty() || text[0] == '-') return std::nullopt;
  // "1E" is an exa, "1E3" a thousand: the exponent is the number's only when digits follow it.
  size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) end = text.size();
  if (end + 1 < text.size() && (text[end] == 'e' || text[end] == 'E')) end = text.size();
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + end, number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + end) return std::nullopt;
  const double factor = factor_of(text.substr(end));
  const double total = number * factor;
  if (factor == 0 || !(total >= 0 && total < 9.2e18) || total != std::floor(total))
    return std::nullopt;
  return static_cast<uint64_t>(total);
}

}  // namespace kvasir
