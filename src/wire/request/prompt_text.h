// The prompt as the engine sees it: what requests that the engine reads as equal have in common,
// byte for byte, and what requests that begin alike begin with.
//
// In the order of chat templates: the template and its arguments, tools, documents, the system
// text, then the messages. It does not matter
//   - in which order the body, a message, a part or a tool has its members,
//   - whether a content is a text or a list of text parts ("text", "input_text", "output_text";
//   several
//     are joined by a line break), a prompt a text or a list of that one text,
//   - how JSON is spaced and how its strings are escaped,
//   - whether a system text is a field of its own (`system`, `instructions`) or the first message,
//   and
//     whether the input of a response is a text or the one message of a user,
//   - where a client marks what it wants cached (`cache_control`).
// Texts have the fewest escapes that JSON allows, so that most are what stands in the body.
// Images and other parts count with all their members, so with their URL or their bytes. What is
// not as the API asks is taken as it stands: the engine refuses it.
#pragma once

#include <string_view>

#include "wire/request/request_peek.h"

namespace kvasir {

class PromptSink {
 public:
  // The next bytes; they are gone when this returns.
  virtual void take(std::string_view bytes) = 0;

 protected:
  ~PromptSink() = default;
};

// Time is that of reading the prompt a few times over, memory a fixed buffer on the stack, whatever
// the bytes are. The body that `peek` points into must still be there.
void write_prompt(const RequestPeek& peek, PromptSink& sink);

}  // namespace kvasir
