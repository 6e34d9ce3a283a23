// What somebody probably meant who wrote a name that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// The candidate that takes the fewest changes of one letter, when few enough for a slip of the pen;
// "" otherwise. Case, '-' and '_' do not count.
std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates);

// "; did you mean 'threshold'?", or "" when nothing comes near.
std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace kvasir
