#include "wire/kv_transfer/router_members.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace kvasir {

bool may_name_workers(std::string_view key) {
  if (key.size() < 10 || key.size() > 18) return false;
  if (key == "vllm_xargs" || key == "extra_args") return true;
  return std::find(std::begin(kOfRouters), std::end(kOfRouters), key) != std::end(kOfRouters);
}

bool may_hide_workers(std::string_view body) {
  // White space in letters of any width, and byte order marks.
  constexpr std::string_view kBefore("\0 \t\r\n\xef\xbb\xbf\xfe\xff", 10);
  const size_t begin = body.find_first_not_of(kBefore);
  if (begin == std::string_view::npos || body[begin] != '{') return false;
  body.remove_prefix(begin);
  std::string letters;  // without what makes them wide
  letters.reserve(body.size());
  std::copy_if(body.begin(), body.end(), std::back_inserter(letters),
               [](char letter) { return letter != '\0'; });
  const auto holds = [&letters](std::string_view text) {
    return letters.find(text) != std::string::npos;
  };
  // A name can be spelled with escapes, and then it could be any.
  return holds("\\u") || std::any_of(std::begin(kOfRouters), std::end(kOfRouters), holds);
}

}  // namespace kvasir
