// Where a request's token ids come from, before it is scheduled: the body itself, a tokenizer file
// (tokens/model_tokenizers.h), or the engines' own /render and /tokenize; what was found is
// remembered, short lists of ids aside. What cannot be had in time is unknown, with a reason: the
// request goes on by the byte estimate.
//
// One for each thread of a server, on that thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "serving/engine_calls.h"
#include "serving/engine_knowledge.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class ModelTokenizers;
class TokenCache;
class TokenizerJobs;

using TokenIds = std::shared_ptr<const std::vector<uint32_t>>;

enum class TokenOrigin : uint8_t { kBody, kTokenizer, kEngine, kRemembered };

// Why a request's tokens are unknown; each is a value of the metric's label.
enum class TokensUnknown : uint8_t {
  kNo,              // they are known
  kNoPrompt,        // the body was not understood, or has no prompt
  kSeveralPrompts,  // each has tokens of its own
  kMedia,           // images and the like are more than their tokens
  kBadIds,          // token ids that are none
  kTooLong,         // beyond a limit
  kNoSource,        // nobody is configured that could tell
  kUnsupported,     // the engines cannot tell, as they said before or now
  kPaused,          // engines failed to tell again and again: they are left alone for a while
  kBusy,            // too much of it is under way
  kDeadline,        // no answer in time
  kFailed,          // an engine could not be reached, refused, or answered nonsense
};
std::string_view label_of(TokensUnknown why);
std::string_view label_of(TokenOrigin origin);

struct Tokens {
  TokenIds ids;  // null: unknown
  TokensUnknown why = TokensUnknown::kNo;
  TokenOrigin origin = TokenOrigin::kBody;
};

struct TokenSourceOptions {
  enum class Ask : uint8_t {
    kNobody,
    kRender,    // POST PATH/render, and nothing else (llm-d's token-producer)
    kTokenize,  // POST /tokenize, and nothing else
    kEither,    // render where the engine has it, else /tokenize
  };
  Ask ask = Ask::kEither;
  // How long a request waits for an engine's answer.
  Duration deadline = std::chrono::milliseconds(250);
  size_t calls_most = 32;                   // under way at once, of this thread
  size_t waiting_most = 1024;               // requests that wait for calls and jobs
  size_t body_bytes_max = 8 * 1024 * 1024;  // of a request whose text is looked at
  size_t ids_most = 8 * 1024 * 1024;        // of one prompt
  size_t text_bytes_in_place = 64 * 1024;   // longer texts are tokenized on another thread
  EngineKnowledge::Options knowledge = {};
};

// What is asked for. Views need not stay valid after start().
struct TokenAsk {
  const RequestPeek& peek;
  std::string_view body;           // the JSON that `peek` points into
  std::string_view model;          // as the engine knows it; empty: peek.model
  std::string_view authorization;  // the request's own field, which engines get; empty: none
};

class TokenSource {
 public:
  // Whom to ask next for that model (healthy endpoints in turn, or a service); nullopt: nobody.
  using NextServer = std::function<std::optional<EngineAddress>(std::string_view model)>;

  // What is shared with others and outlives it. Null: there is none of it.
  struct Parts {
    const ModelTokenizers* tokenizers = nullptr;  // of the files that were loaded
    EngineCalls* calls = nullptr;                 // of this thread; with a cache
    TokenCache* cache = nullptr;                  // thread-safe: one for all threads
    TokenizerJobs* jobs = nullptr;                // of this thread; null: all is done in place
  };
  TokenSource(Executor& executor, TokenSourceOptions options, Parts parts, NextServer next);
  ~TokenSource();
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  // A request that waits: its death gives up waiting, not the call.
  class Waiting {
   public:
    virtual ~Waiting() = default;
  };
  using Done = std::function<void(Tokens)>;
  // Exactly one of both is set. With `waiting`, `done` is called once, later, within the deadline,
  // unless it dies before; `done` may destroy it.
  struct Started {
    std::optional<Tokens> tokens;
    std::unique_ptr<Waiting> waiting;
  };
  Started start(const TokenAsk& ask, Done done);

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
