#include "vllm/wide_int.h"

#include <algorithm>

namespace kvasir {

std::string to_text(WideInt value) {
  if (value == 0) return "0";
  std::string digits;
  for (WideInt rest = value < 0 ? -value : value; rest > 0; rest /= 10) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  if (value < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace kvasir
