#include "base/nearest_name.h"

#include <algorithm>

#include "base/text.h"

namespace kvasir {
namespace {

constexpr size_t kLongestCompared = 64;  // the distance takes the product of both lengths

std::string plain(std::string_view name) {
  std::string letters;
  for (const char letter : name.substr(0, kLongestCompared)) {
    if (letter != '-' && letter != '_') {
      letters += lower_case(letter);
    }
  }
  return letters;
}

// Letters to insert, remove or replace to get from one to the other.
size_t distance(const std::string& from, const std::string& to) {
  std::vector<size_t> row(to.size() + 1);
  for (size_t column = 0; column <= to.size(); ++column) row[column] = column;
  for (size_t line = 1; line <= from.size(); ++line) {
    size_t diagonal = row[0];
    row[0] = line;
    for (size_t column = 1; column <= to.size(); ++column) {
      const size_t replaced = diagonal + (from[line - 1] == to[column - 1] ? 0 : 1);
      diagonal = row[column];
      row[column] = std::min({replaced, row[column] + 1, row[column - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates) {
  const std::string wanted = plain(name);
  std::string_view best;
  size_t best_distance = wanted.size() / 3 + 1;  // further away is another word
  for (const std::string_view candidate : candidates) {
    const size_t away = distance(wanted, plain(candidate));
    if (away < best_distance || (away == best_distance && best.empty() && wanted.size() > 3)) {
      best = candidate;
      best_distance = away;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& candidates) {
  const std::string_view nearest = nearest_name(name, candidates);
  return nearest.empty() ? "" : "; did you mean '" + std::string(nearest) + "'?";
}

}  // namespace kvasir
