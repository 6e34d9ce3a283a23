#include "pdproxy/prompt_limit.h"

#include <algorithm>

#include "base/integer_text.h"
#include "wire/json/json_edit.h"
#include "wire/request/request_peek.h"
#include "wire/request/token_question.h"

namespace kvasir {
namespace {

// What chat templates and tokenizers put around what the client sent, at most.
constexpr size_t kTokensAroundMost = 512;
// A tokenizer takes about 4 bytes a token. Beyond this no engine is asked.
constexpr size_t kBytesPerTokenMost = 16;

// Parts of a conversation whose tokens have nothing to do with their bytes. In a text the second
// quote would be escaped.
bool has_media(std::string_view body) {
  constexpr std::string_view kMarks[] = {R"("image")",      R"("image_url")",   R"("input_image")",
                                         R"("input_file")", R"("input_audio")", R"("audio_url")",
                                         R"("video_url")",  R"("document")",    R"("file")"};
  return std::any_of(std::begin(kMarks), std::end(kMarks), [body](std::string_view mark) {
    return body.find(mark) != std::string_view::npos;
  });
}

PromptLimit known(uint64_t tokens, uint32_t tokens_max) {
  if (tokens > tokens_max) return {PromptFit::kTooLong};
  return {PromptFit::kFits, {}, tokens};
}

}  // namespace

PromptLimit check_prompt(RequestApi api, std::string_view body, uint32_t tokens_max) {
  if (tokens_max == 0) return {PromptFit::kFits};
  const std::optional<RequestPeek> peek = peek_request(body, api);
  if (!peek) return known(body.size(), tokens_max);
  if (peek->prompt_ids) return known(*peek->prompt_ids, tokens_max);
  if (has_media(body)) return {PromptFit::kTooLong};
  // A token stands for a byte at least.
  const PromptLimit by_bytes = known(body.size() + kTokensAroundMost, tokens_max);
  if (by_bytes.fit == PromptFit::kFits) return by_bytes;
  if (body.size() > kBytesPerTokenMost * size_t{tokens_max}) return {PromptFit::kTooLong};
  const bool is_asked = api == RequestApi::kCompletions || api == RequestApi::kChatCompletions;
  const std::optional<TokenQuestion> question =
      is_asked ? TokenQuestion::read(*peek, body) : std::nullopt;
  if (!question || !question->fits_tokenize()) return {PromptFit::kTooLong};
  return {PromptFit::kToBeCounted, question->tokenize_body({})};
}

std::optional<uint64_t> counted_tokens(std::string_view answer) {
  constexpr std::string_view kKeys[] = {"count"};
  const Result<JsonEditor> members = JsonEditor::read(answer, kKeys);
  return members ? integer_of<uint64_t>(members->find(kKeys[0]).value_or("")) : std::nullopt;
}

}  // namespace kvasir
