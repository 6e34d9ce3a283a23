#include "serving/token_source.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/lifeline.h"
#include "serving/token_cache.h"
#include "serving/tokenizer_jobs.h"
#include "tokens/model_tokenizers.h"
#include "wire/json/json_cursor.h"
#include "wire/request/grpc_request.h"
#include "wire/request/prompt_ids.h"
#include "wire/request/token_question.h"

namespace kvasir {
namespace {

constexpr int kOk = 200;
// Shorter lists of ids are read as fast as they are found again.
constexpr size_t kIdsBytesRememberedFrom = 4096;
constexpr int kDisabledRoute = 403;  // vLLM's render endpoints without --enable-scale-out
constexpr int kUnknownRoute = 404;
constexpr int kUnknownMethod = 405;
constexpr int kNotImplemented = 501;

Tokens unknown(TokensUnknown why) {
  return {nullptr, why, TokenOrigin::kBody};
}

Tokens known(std::vector<uint32_t> ids, TokenOrigin origin) {
  ids.shrink_to_fit();  // they may be remembered
  return {std::make_shared<const std::vector<uint32_t>>(std::move(ids)), TokensUnknown::kNo,
          origin};
}

Tokens encoded(const BpeTokenizer& tokenizer, std::string_view text, bool is_json, bool special) {
  std::vector<uint32_t> ids;
  const bool done = is_json ? tokenizer.encode(json_unescaped(text), ids, special)
                            : tokenizer.encode(text, ids, special);
  if (!done) return unknown(TokensUnknown::kTooLong);
  return known(std::move(ids), TokenOrigin::kTokenizer);
}

// Whether a text is the whole prompt of such a request, as the engine's tokenizer gets it.
bool takes_plain_text(RequestApi api) {
  return api == RequestApi::kCompletions || api == RequestApi::kSglangGenerate ||
         api == RequestApi::kEmbeddings || api == RequestApi::kVllmGrpcGenerate ||
         api == RequestApi::kVllmGrpcEmbed;
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; });
}

bool says_not_there(int status) {
  return status == kDisabledRoute || status == kUnknownRoute || status == kUnknownMethod ||
         status == kNotImplemented;
}

// It was the request that was wrong, not the engine.
bool blames_request(int status) {
  return status >= 400 && status < 500 && status != 408 && status != 429;
}

}  // namespace

std::string_view label_of(TokensUnknown why) {
  switch (why) {
    case TokensUnknown::kNo:
      return "none";
    case TokensUnknown::kNoPrompt:
      return "no_prompt";
    case TokensUnknown::kSeveralPrompts:
      return "several_prompts";
    case TokensUnknown::kMedia:
      return "media";
    case TokensUnknown::kBadIds:
      return "bad_ids";
    case TokensUnknown::kTooLong:
      return "too_long";
    case TokensUnknown::kNoSource:
      return "no_source";
    case TokensUnknown::kUnsupported:
      return "unsupported";
    case TokensUnknown::kPaused:
      return "paused";
    case TokensUnknown::kBusy:
      return "busy";
    case TokensUnknown::kDeadline:
      return "deadline";
    case TokensUnknown::kFailed:
      return "failed";
  }
  return "none";
}

std::string_view label_of(TokenOrigin origin) {
  switch (origin) {
    case TokenOrigin::kBody:
      return "body";
    case TokenOrigin::kTokenizer:
      return "tokenizer";
    case TokenOrigin::kEngine:
      return "engine";
    case TokenOrigin::kRemembered:
      return "remembered";
  }
  return "body";
}

class TokenSource::State {
 public:
  State(Executor& executor, TokenSourceOptions options, Parts parts, NextServer next)
      : executor_(executor),
        options_(options),
        parts_(parts),
        next_(std::move(next)),
        knowledge_(options.knowledge) {}
  ~State();

  Started start(const TokenAsk& ask, Done done);

 private:
  class Waiter;

  // A call or a job, and those who wait for it.
  struct Work {
    std::vector<Waiter*> waiters;
    std::unique_ptr<EngineCalls::Call> call;  // of a call
    std::atomic<bool> wanted{true};           // of a job
    std::string model;                        // of a call
    bool was_late = false;                    // somebody could not wait for the call any longer

    void finish(const Tokens& tokens);
  };
  // What an engine is asked.
  struct Question {
    TokenCache::Key key;
    std::string model;
    std::string authorization;
    std::string_view path;
    std::string body;
    std::string
        tokenize_body;  // to ask when the engine cannot render; empty: that is not to be asked
  };

  // The first byte of a key: no API has such a number.
  enum class BytesKind : uint8_t { kIds = 0xf0, kPackedIds, kText, kEscapedText };

  static Started at_once(Tokens tokens) { return {std::move(tokens), nullptr}; }
  static Started at_once(TokensUnknown why) { return at_once(unknown(why)); }
  Tokens tokens_of_ids(const RequestPeek& peek);
  Tokens read_ids(const RequestPeek& peek) const;
  // `is_json`: the text has JSON's escapes.
  Started tokenize(const BpeTokenizer& tokenizer, std::string_view text, bool is_json, bool special,
                   std::string_view model, Done done);
  Started ask_engine(const TokenAsk& ask, std::string_view model, const TokenQuestion& question,
                     Done done);
  std::optional<Question> what_to_ask(const TokenQuestion& question, std::string_view model) const;
  TokenCache::Key key_of(const TokenQuestion& question, RequestApi api,
                         std::string_view model) const;
  // Of what is asked of nobody: lists of ids, and texts for a tokenizer.
  TokenCache::Key key_of_bytes(BytesKind kind, bool special, std::string_view model,
                               std::string_view bytes) const;
  TokenIds find(const TokenCache::Key& key);
  void remember(const TokenCache::Key& key, const Tokens& tokens);
  Started wait_for(const std::shared_ptr<Work>& work, Done done);
  void call(const std::shared_ptr<Work>& work, const EngineAddress& engine, Question question);
  void on_answer(const std::shared_ptr<Work>& work, const EngineAddress& engine, Question question,
                 const EngineAnswer& answer);
  Tokens read_answer(const Question& question, const Work& work, const EngineAnswer& answer);
  void on_late(Work& work);

  Executor& executor_;
  const TokenSourceOptions options_;
  const Parts parts_;
  const NextServer next_;
  EngineKnowledge knowledge_;
  std::map<TokenCache::Key, std::shared_ptr<Work>> calls_;
  std::unordered_set<Waiter*> waiting_;
  Lifeline lifeline_;
};

class TokenSource::State::Waiter final : public TokenSource::Waiting {
 public:
  Waiter(State& state, Work& work, Done done)
      : state_(&state), work_(&work), done_(std::move(done)) {
    work.waiters.push_back(this);
    state.waiting_.insert(this);
    deadline_ = state.executor_.after(state.options_.deadline, [this] {
      deadline_ = kNoTimer;
      Work& late = *work_;
      state_->on_late(late);
      leave();
      tell(unknown(TokensUnknown::kDeadline));
    });
  }
  ~Waiter() override { leave(); }

  // Not to be told any more by its work, nor by the clock.
  void leave() {
    if (work_ == nullptr) return;
    std::erase(work_->waiters, this);
    if (work_->waiters.empty()) work_->wanted = false;
    work_ = nullptr;
    state_->waiting_.erase(this);
    state_->executor_.cancel(std::exchange(deadline_, kNoTimer));
  }
  // The last thing that it does.
  void tell(const Tokens& tokens) {
    const Done done = std::move(done_);  // `this` may die in it
    done(tokens);
  }

 private:
  State* const state_;
  Work* work_;  // null: it waits no more
  Done done_;
  TimerId deadline_ = kNoTimer;
};

void TokenSource::State::Work::finish(const Tokens& tokens) {
  while (!waiters.empty()) {
    Waiter* const waiter = waiters.front();
    waiter->leave();
    waiter->tell(tokens);
  }
}

TokenSource::State::~State() {
  while (!waiting_.empty()) (*waiting_.begin())->leave();
  for (const auto& [key, work] : calls_) work->call.reset();
}

// The engine was too slow for one request: once for each call, that is a failure.
void TokenSource::State::on_late(Work& work) {
  if (work.call == nullptr || std::exchange(work.was_late, true)) return;
  knowledge_.failed(work.model, executor_.now());
}

TokenSource::Started TokenSource::State::start(const TokenAsk& ask, Done done) {
  const RequestPeek& peek = ask.peek;
  if (!peek.field(PromptField::kMedia).empty()) return at_once(TokensUnknown::kMedia);
  if (peek.kind == PromptKind::kTokenIds || peek.kind == PromptKind::kRawIds) {
    return at_once(tokens_of_ids(peek));
  }
  if (peek.prompt.empty()) return at_once(TokensUnknown::kNoPrompt);
  const std::string_view model = ask.model.empty() ? std::string_view(peek.model) : ask.model;
  const BpeTokenizer* tokenizer = nullptr;
  if (parts_.tokenizers != nullptr && takes_plain_text(peek.api)) {
    tokenizer = parts_.tokenizers->find(model);
  }
  if (peek.kind == PromptKind::kRawText) {
    if (tokenizer == nullptr) return at_once(TokensUnknown::kNoSource);
    return tokenize(*tokenizer, peek.prompt, false, true, model, std::move(done));
  }
  if (is_grpc(peek.api)) return at_once(TokensUnknown::kNoSource);
  if (tokenizer == nullptr && options_.ask == TokenSourceOptions::Ask::kNobody) {
    return at_once(TokensUnknown::kNoSource);
  }
  if (ask.body.size() > options_.body_bytes_max) return at_once(TokensUnknown::kTooLong);
  const std::optional<TokenQuestion> question = TokenQuestion::read(peek, ask.body);
  if (!question) return at_once(TokensUnknown::kSeveralPrompts);
  if (question->has_media()) return at_once(TokensUnknown::kMedia);
  if (tokenizer != nullptr && question->text() && !question->truncates()) {
    return tokenize(*tokenizer, *question->text(), !peek.prompt_is_plain,
                    question->adds_special_tokens(), model, std::move(done));
  }
  return ask_engine(ask, model, *question, std::move(done));
}

Tokens TokenSource::State::tokens_of_ids(const RequestPeek& peek) {
  if (peek.prompt.size() < kIdsBytesRememberedFrom) return read_ids(peek);
  const bool packed = peek.kind == PromptKind::kRawIds;
  const TokenCache::Key key =
      key_of_bytes(packed ? BytesKind::kPackedIds : BytesKind::kIds, false, {}, peek.prompt);
  if (TokenIds ids = find(key); ids && (!packed || ids->size() == peek.prompt_ids)) {
    return {std::move(ids), TokensUnknown::kNo, TokenOrigin::kBody};
  }
  const Tokens tokens = read_ids(peek);
  remember(key, tokens);
  return tokens;
}

Tokens TokenSource::State::read_ids(const RequestPeek& peek) const {
  std::vector<uint32_t> ids;
  ids.reserve(std::min<size_t>(peek.prompt_ids.value_or(0), options_.ids_most));
  const PromptIds read = peek.kind == PromptKind::kRawIds
                             ? read_packed_ids(peek.prompt, options_.ids_most, ids)
                             : read_prompt_ids(peek.prompt, options_.ids_most, ids);
  if (read == PromptIds::kSeveral) return unknown(TokensUnknown::kSeveralPrompts);
  // A message may hold its ids one by one, with other bytes between them.
  const bool as_counted = peek.kind != PromptKind::kRawIds || ids.size() == peek.prompt_ids;
  if (read == PromptIds::kNone || !as_counted) return unknown(TokensUnknown::kBadIds);
  return known(std::move(ids), TokenOrigin::kBody);
}

TokenSource::Started TokenSource::State::tokenize(const BpeTokenizer& tokenizer,
                                                  std::string_view text, bool is_json, bool special,
                                                  std::string_view model, Done done) {
  const TokenCache::Key key =
      key_of_bytes(is_json ? BytesKind::kEscapedText : BytesKind::kText, special, model, text);
  if (TokenIds ids = find(key)) {
    return at_once({std::move(ids), TokensUnknown::kNo, TokenOrigin::kRemembered});
  }
  if (parts_.jobs == nullptr || text.size() <= options_.text_bytes_in_place) {
    Tokens tokens = encoded(tokenizer, text, is_json, special);
    remember(key, tokens);
    return at_once(std::move(tokens));
  }
  if (waiting_.size() >= options_.waiting_most) return at_once(TokensUnknown::kBusy);
  auto work = std::make_shared<Work>();
  const bool started =
      parts_.jobs->start([this, alive = lifeline_.token(), work, key, own_text = std::string(text),
                          is_json, special, &tokenizer]() -> BackgroundJob::Use {
        Tokens tokens = unknown(TokensUnknown::kNoPrompt);
        if (work->wanted) tokens = encoded(tokenizer, own_text, is_json, special);
        return [this, alive, work, key, tokens] {
          if (!*alive) return;
          remember(key, tokens);
          work->finish(tokens);
        };
      });
  if (!started) return at_once(TokensUnknown::kBusy);
  return wait_for(work, std::move(done));
}

TokenCache::Key TokenSource::State::key_of_bytes(BytesKind kind, bool special,
                                                 std::string_view model,
                                                 std::string_view bytes) const {
  if (parts_.cache == nullptr) return {};
  TokenCache::Question key(*parts_.cache);
  const char head[] = {static_cast<char>(kind), special ? '\1' : '\0'};
  const size_t model_bytes = model.size();
  key.take({head, sizeof head});
  key.take({reinterpret_cast<const char*>(&model_bytes), sizeof model_bytes});
  key.take(model);
  key.take(bytes);
  return key.key();
}

TokenIds TokenSource::State::find(const TokenCache::Key& key) {
  return parts_.cache == nullptr ? nullptr : parts_.cache->find(key);
}

void TokenSource::State::remember(const TokenCache::Key& key, const Tokens& tokens) {
  if (parts_.cache != nullptr && tokens.ids != nullptr) parts_.cache->put(key, tokens.ids);
}

TokenCache::Key TokenSource::State::key_of(const TokenQuestion& question, RequestApi api,
                                           std::string_view model) const {
  TokenCache::Question key(*parts_.cache);
  const char api_byte = static_cast<char>(api);
  const size_t model_bytes = model.size();
  key.take({&api_byte, 1});
  key.take({reinterpret_cast<const char*>(&model_bytes), sizeof model_bytes});
  key.take(model);
  question.for_each_piece([&key](std::string_view piece) { key.take(piece); });
  return key.key();
}

// nullopt: engines cannot tell, as they said before.
std::optional<TokenSource::State::Question> TokenSource::State::what_to_ask(
    const TokenQuestion& question, std::string_view model) const {
  using Ask = TokenSourceOptions::Ask;
  const TimePoint now = executor_.now();
  const std::string_view render = question.render_path();
  const bool may_render =
      options_.ask != Ask::kTokenize && !render.empty() && !knowledge_.lacks(model, render, now);
  const bool may_tokenize = options_.ask != Ask::kRender && question.fits_tokenize() &&
                            !knowledge_.lacks(model, kTokenizePath, now);
  if (!may_render && !may_tokenize) return std::nullopt;
  Question asked;
  asked.model = model;
  asked.path = may_render ? render : kTokenizePath;
  asked.body = may_render ? question.render_body(model) : question.tokenize_body(model);
  if (may_render && may_tokenize && !knowledge_.has(model, render)) {
    asked.tokenize_body = question.tokenize_body(model);
  }
  return asked;
}

TokenSource::Started TokenSource::State::ask_engine(const TokenAsk& ask, std::string_view model,
                                                    const TokenQuestion& question, Done done) {
  if (options_.ask == TokenSourceOptions::Ask::kNobody || parts_.calls == nullptr) {
    return at_once(TokensUnknown::kNoSource);
  }
  const TokenCache::Key key = key_of(question, ask.peek.api, model);
  if (TokenIds ids = find(key)) {
    return at_once({std::move(ids), TokensUnknown::kNo, TokenOrigin::kRemembered});
  }
  if (waiting_.size() >= options_.waiting_most) return at_once(TokensUnknown::kBusy);
  if (const auto same = calls_.find(key); same != calls_.end()) {
    return wait_for(same->second, std::move(done));
  }
  if (calls_.size() >= options_.calls_most) return at_once(TokensUnknown::kBusy);
  std::optional<Question> asked = what_to_ask(question, model);
  if (!asked) return at_once(TokensUnknown::kUnsupported);
  const std::optional<EngineAddress> engine = next_(model);
  if (!engine) return at_once(TokensUnknown::kNoSource);
  if (knowledge_.pauses(model, executor_.now())) return at_once(TokensUnknown::kPaused);
  asked->key = key;
  if (is_field_value(ask.authorization)) asked->authorization = ask.authorization;
  auto work = std::make_shared<Work>();
  work->model = model;
  calls_.emplace(key, work);
  call(work, *engine, std::move(*asked));
  return wait_for(work, std::move(done));
}

TokenSource::Started TokenSource::State::wait_for(const std::shared_ptr<Work>& work, Done done) {
  return {std::nullopt, std::make_unique<Waiter>(*this, *work, std::move(done))};
}

void TokenSource::State::call(const std::shared_ptr<Work>& work, const EngineAddress& engine,
                              Question question) {
  EngineRequest request{std::string(question.path), question.authorization,
                        std::move(question.body)};
  work->call = parts_.calls->start(
      engine, std::move(request),
      [this, work, engine, question = std::move(question)](const EngineAnswer& answer) mutable {
        on_answer(work, engine, std::move(question), answer);
      });
}

void TokenSource::State::on_answer(const std::shared_ptr<Work>& work, const EngineAddress& engine,
                                   Question question, const EngineAnswer& answer) {
  const std::shared_ptr<Work> kept = work;  // what calls this owns the reference
  if (says_not_there(answer.status)) {
    knowledge_.lacking(question.model, question.path, executor_.now());
    if (!question.tokenize_body.empty()) {
      question.path = kTokenizePath;
      question.body = std::exchange(question.tokenize_body, {});
      return call(kept, engine, std::move(question));
    }
  }
  const Tokens tokens = read_answer(question, *kept, answer);
  calls_.erase(question.key);
  kept->finish(tokens);
}

Tokens TokenSource::State::read_answer(const Question& question, const Work& work,
                                       const EngineAnswer& answer) {
  if (says_not_there(answer.status)) return unknown(TokensUnknown::kUnsupported);
  if (blames_request(answer.status)) return unknown(TokensUnknown::kFailed);
  std::vector<uint32_t> ids;
  const EngineTokens read = answer.status == kOk
                                ? read_engine_tokens(answer.body, options_.ids_most, ids)
                                : EngineTokens::kNone;
  if (read == EngineTokens::kNone) {
    if (!work.was_late) knowledge_.failed(question.model, executor_.now());
    return unknown(TokensUnknown::kFailed);
  }
  if (!work.was_late) knowledge_.answered(question.model, question.path);
  if (read == EngineTokens::kMedia) return unknown(TokensUnknown::kMedia);
  if (read == EngineTokens::kSeveral) return unknown(TokensUnknown::kSeveralPrompts);
  const Tokens tokens = known(std::move(ids), TokenOrigin::kEngine);
  remember(question.key, tokens);
  return tokens;
}

TokenSource::TokenSource(Executor& executor, TokenSourceOptions options, Parts parts,
                         NextServer next)
    : state_(std::make_unique<State>(executor, options, parts, std::move(next))) {}
TokenSource::~TokenSource() = default;

TokenSource::Started TokenSource::start(const TokenAsk& ask, Done done) {
  return state_->start(ask, std::move(done));
}

}  // namespace kvasir
