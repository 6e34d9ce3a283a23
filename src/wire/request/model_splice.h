// The model of a request replaced in the bytes of its body: order, white space, numbers of any size
// and fields nobody knows stay as they were sent.
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

// A body in three pieces, the outer two of which point into the one that was given.
struct SplicedBody {
  std::string_view prefix;
  std::string text;
  std::string_view suffix;

  size_t size() const { return prefix.size() + text.size() + suffix.size(); }
};

// `model_json`: the model's value in `body`, as RequestPeek has it. When it is empty the body has
// no model and gets one, as its first field. Precondition: peek_request() took `body`.
SplicedBody splice_model(std::string_view body, std::string_view model_json,
                         std::string_view model);

// The three pieces as one; `padding` bytes of capacity are kept behind it.
std::string whole(const SplicedBody& body, size_t padding = 0);

}  // namespace kvasir
