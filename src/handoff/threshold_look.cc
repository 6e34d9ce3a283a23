#include "handoff/threshold_look.h"

#include "wire/openai_stream.h"

namespace kvasir {
namespace {

constexpr std::string_view kCacheThreshold = "cache_threshold";

}  // namespace

ThresholdLook::Verdict ThresholdLook::feed(std::string_view bytes) {
  if (is_stream_) {
    const bool lost = !scanner_.feed(bytes, *this);
    if (lost && verdict_ == Verdict::kUndecided) verdict_ = Verdict::kAnswer;
    return verdict_;
  }
  body_ += bytes;
  return body_.size() > kAnswerBytesMost ? Verdict::kAnswer : Verdict::kUndecided;
}

void ThresholdLook::on_event(std::string_view data) {
  if (verdict_ != Verdict::kUndecided) return;
  const Result<AnswerPart> part = read_stream_event(data);
  if (part && part->finish_reason == kCacheThreshold) {
    verdict_ = Verdict::kBelow;
  } else if (!part || !part->text.empty() || !part->finish_reason.empty() || part->error ||
             part->done || ++events_ == kEventsMost) {
    verdict_ = Verdict::kAnswer;
  }
}

ThresholdLook::Verdict ThresholdLook::end() {
  if (is_stream_) return Verdict::kAnswer;
  const Result<AnswerPart> answer = parse_answer(body_);
  return answer && answer->finish_reason == kCacheThreshold ? Verdict::kBelow : Verdict::kAnswer;
}

}  // namespace kvasir
