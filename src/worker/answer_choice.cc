#include "worker/answer_choice.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr std::string_view kStop = "stop";
constexpr std::string_view kLength = "length";

// Bytes at the end of `text` that begin a character of UTF-8 and do not end it.
size_t unfinished_character(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;  // a later byte of one
    const size_t size = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return size > back ? back : 0;
  }
  return 0;
}

}  // namespace

StopRules::StopRules(const SamplingFields& sampling)
    : stop(sampling.stop),
      min_tokens(static_cast<uint64_t>(sampling.min_tokens)),
      include_stop(sampling.include_stop_str_in_output),
      ignore_end_of_sequence(sampling.ignore_eos) {
  for (const std::string& text : stop) longest_stop = std::max(longest_stop, text.size());
  for (const WideInt id : sampling.stop_token_ids) stop_tokens.push_back(static_cast<TokenId>(id));
  if (!sampling.allowed_token_ids) return;
  for (const WideInt id : *sampling.allowed_token_ids) allowed.push_back(static_cast<TokenId>(id));
}

AnswerChoice::Step AnswerChoice::add(TokenId token, bool at_limit) {
  if (!keeps_tokens_ && !rules_->allowed.empty())
    token = rules_->allowed[token % rules_->allowed.size()];
  ++tokens_;
  Step step;
  step.token = token;
  step.finish = finish_by_token(token);
  // What was shown before is kept only as far as a stop string can reach back.
  const size_t kept = rules_->stop.empty() ? 0 : rules_->longest_stop - 1;
  const size_t dropped = std::min(shown_, tail_.size() - std::min(tail_.size(), kept));
  tail_.erase(0, dropped);
  shown_ -= dropped;
  fresh_ = tail_.size();
  if (!step.finish || rules_->include_stop) append_token_text(token, tail_);
  if (!step.finish) step.finish = finish_by_text();
  if (!step.finish && at_limit) step.finish = Finish{kLength, {}};
  step.text = showable(step.finish.has_value());
  return step;
}

std::optional<Finish> AnswerChoice::finish_by_token(TokenId token) const {
  if (tokens_ < rules_->min_tokens) return std::nullopt;
  if (token == kEndOfSequence && !rules_->ignore_end_of_sequence) return Finish{kStop, {}};
  const auto& stops = rules_->stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) == stops.end()) return std::nullopt;
  return Finish{kStop, token};
}

// The first of the stop strings that ends in the newest token's text. Cuts the text there.
std::optional<Finish> AnswerChoice::finish_by_text() {
  if (tokens_ <= rules_->min_tokens && rules_->min_tokens > 0) return std::nullopt;
  for (const std::string& stop : rules_->stop) {
    const size_t from = fresh_ - std::min(fresh_, stop.size() - 1);
    const size_t found = tail_.find(stop, from);
    if (found == std::string::npos) continue;
    tail_.resize(std::max(shown_, rules_->include_stop ? found + stop.size() : found));
    return Finish{kStop, stop};
  }
  return std::nullopt;
}

// What is not shown yet and cannot become part of a stop string any more.
std::string_view AnswerChoice::showable(bool finished) {
  size_t held = 0;
  if (!finished && !rules_->include_stop && !rules_->stop.empty()) {
    held = std::min(rules_->longest_stop - 1, tail_.size() - shown_);
  }
  if (!finished) held = std::max(held, unfinished_character(tail_));
  held = std::min(held, tail_.size() - shown_);
  const std::string_view text =
      std::string_view(tail_).substr(shown_, tail_.size() - shown_ - held);
  shown_ += text.size();
  return text;
}

}  // namespace kvasir
