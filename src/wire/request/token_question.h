// Asking an engine which tokens a request's prompt becomes, in the two ways that vLLM has:
//
//   POST PATH/render, the request itself     -> {"token_ids": [1, 2], "features": null, ...}; of
//   completions
//                                               a list of these
//   POST /tokenize, {"model": "m", "prompt": "text"}, or {"model": "m", "messages": [...], "tools":
//   [...], ...}
//                                            -> {"count": 2, "max_model_len": 4096, "tokens": [1,
//                                            2]}
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/request/request_peek.h"

namespace kvasir {

inline constexpr std::string_view kTokenizePath = "/tokenize";

// What of a request decides its tokens. Views into the body that it was read from.
class TokenQuestion {
 public:
  // Precondition: `peek` is of `body`, which is JSON. nullopt: there is no prompt, or several.
  static std::optional<TokenQuestion> read(const RequestPeek& peek, std::string_view body);

  // The one text that the prompt is, between its quotes, escapes as sent. nullopt: it is a
  // conversation.
  std::optional<std::string_view> text() const;
  // Whether a text gets the special tokens that the tokenizer puts around it.
  bool adds_special_tokens() const { return adds_special_tokens_; }
  // Whether tokens are cut off from its beginning or end.
  bool truncates() const { return truncates_; }
  // Whether the conversation has images, audio or the like, whose tokens say nothing of what they
  // are.
  bool has_media() const;

  // The path that renders such a request; empty: engines have none.
  std::string_view render_path() const;
  // `model`: empty: as it stands in the body; of /tokenize: none.
  std::string render_body(std::string_view model) const;
  // Whether /tokenize can be told all that decides about the tokens.
  bool fits_tokenize() const { return fits_tokenize_; }
  std::string tokenize_body(std::string_view model) const;

  // Calls `take` with the bytes that decide about the tokens, apart from the model, piece by piece:
  // equal bytes, equal tokens.
  template <class Take>
  void for_each_piece(Take&& take) const {
    for (const Member& member : members_) {
      take(member.raw_key);
      take(std::string_view("\":"));
      take(member.value);
      take(std::string_view(","));
    }
  }

 private:
  struct Member {
    std::string_view raw_key;  // between its quotes
    std::string_view value;
  };

  TokenQuestion(const RequestPeek& peek, std::string_view body) : peek_(peek), body_(body) {}
  bool read_members();
  void read_member(std::string_view key, std::string_view value);

  // What is needed of the peek.
  struct Peeked {
    explicit Peeked(const RequestPeek& peek)
        : api(peek.api), kind(peek.kind), prompt(peek.prompt), model_json(peek.model_json) {}
    RequestApi api;
    PromptKind kind;
    std::string_view prompt;
    std::string_view model_json;
  };

  Peeked peek_;
  std::string_view body_;
  std::vector<Member> members_;  // but those that do not matter
  bool adds_special_tokens_ = true;
  bool truncates_ = false;
  bool has_tools_ = false;
  bool wants_no_tools_ = false;
  bool fits_tokenize_ = true;
};

enum class EngineTokens : uint8_t {
  kOne,      // of one prompt
  kSeveral,  // of several prompts
  kMedia,    // with images or the like among them
  kNone,     // the answer is not as it should be
};
// `answer`: of a call to /tokenize or a render path. Writes to `ids`, whose content is undefined
// when it is not kOne.
EngineTokens read_engine_tokens(std::string_view answer, size_t ids_max,
                                std::vector<uint32_t>& ids);

}  // namespace kvasir
