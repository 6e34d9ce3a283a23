// What a LegsRelay does with the decoder's answer on its way to the client.
#include <cstdio>
#include <utility>

#include "legs/leg_heads.h"
#include "legs/legs_relay.h"
#include "net/http/http_status.h"
#include "net/http/proxy_head.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr std::string_view kTimingTrailer =
    "Trailer: x-decode-time-ms, x-total-time-ms, x-tokens-generated\r\n";

// "Name: 12.345\r\n"
void append_ms(std::string_view name, Duration time, std::string& fields) {
  char ms[32];
  std::snprintf(ms, sizeof ms, "%.3f", to_milliseconds(time));
  fields.append(name).append(": ").append(ms).append("\r\n");
}

}  // namespace

// The prefiller's, while the KV is still on its way.
void LegsRelay::send_first_token() {
  const bool has_one =
      legs_->report().path == HandoffReport::Path::kTwoLegs && bodies_->has_certain_first_token();
  if (has_one) first_token_ = FirstToken::read(bodies_->api(), legs_->prefill_answer());
  if (!first_token_) return;
  const AnswerOptions& wanted = relays_.options().answer;
  const bool says_cached = wanted.prefill_cached_tokens && bodies_->says_cached_tokens();
  usage_ =
      std::make_unique<UsageStream>(says_cached ? legs_->report().cached_tokens : std::nullopt);
  first_byte_time_ = relays_.loop().now() - begun_;
  mode_ = Mode::kReframed;
  std::string fields = "Content-Type: text/event-stream; charset=utf-8\r\n" + leg_fields();
  if (wanted.timing_trailers) fields += kTimingTrailer;
  exchange_->start(kHttpOk, fields);
  exchange_->write(first_token_->events());
}

// Of an answer that cannot be gone on with.
void LegsRelay::cut(std::string why) {
  why_ = std::move(why);
  failed_at_ = LegStage::kDecode;
  call_.cancel();
  std::exchange(exchange_, nullptr)->abort();
  finish(kHttpOk, true);
}

std::string LegsRelay::added_fields() const {
  std::string fields = leg_fields();
  if (bodies_ && relays_.options().answer.server_timing) {
    append_server_timing(fields);
    if (!is_stream()) append_whole_times(fields);
  }
  return fields;
}

// Of the workers and what is known of the prefill leg.
std::string LegsRelay::leg_fields() const {
  std::string fields = "x-request-id: " + route_.request_id + "\r\n" + route_.more_fields;
  if (const std::string& name = route_.decoders[decoder_].name; !name.empty()) {
    fields += "x-decode-pod: " + name + "\r\n";
  }
  if (legs_ == nullptr || !legs_->report().prefiller) return fields;
  const HandoffReport& report = legs_->report();
  fields += "x-prefill-pod: " + route_.prefillers[*report.prefiller].shown_name() + "\r\n";
  append_ms("x-prefill-time-ms", report.prefill_time.value_or(Duration{}), fields);
  return fields;
}

void LegsRelay::append_server_timing(std::string& fields) const {
  char text[96];
  const Duration first_byte = relays_.loop().now() - decode_begun_;
  if (legs_ != nullptr && legs_->report().prefill_time) {
    std::snprintf(text, sizeof text, "Server-Timing: prefill;dur=%.3f, decode-first-byte;dur=%.3f",
                  to_milliseconds(*legs_->report().prefill_time), to_milliseconds(first_byte));
  } else {
    std::snprintf(text, sizeof text, "Server-Timing: decode-first-byte;dur=%.3f",
                  to_milliseconds(first_byte));
  }
  fields.append(text);
  if (const auto transfer = answer_.find("x-kv-transfer-time-ms")) {
    fields.append(", kv-transfer;dur=").append(*transfer);
  }
  fields.append("\r\n");
}

// An answer that is no stream is complete when its first byte comes.
void LegsRelay::append_whole_times(std::string& fields) const {
  const TimePoint now = relays_.loop().now();
  append_ms("x-decode-time-ms", now - decode_begun_, fields);
  append_ms("x-total-time-ms", now - begun_, fields);
  const std::string_view answer = mode_ == Mode::kWhole ? held_body_ : first_bytes_;
  if (answer.empty() || answer.size() != answer_.content_length()) return;
  if (const auto tokens = completion_tokens_of(answer)) {
    fields += "x-tokens-generated: " + std::to_string(*tokens) + "\r\n";
  }
}

bool LegsRelay::is_stream() const {
  return answer_.find("content-type").value_or("").starts_with("text/event-stream");
}

// nullopt: the decoder's count stays.
std::optional<uint64_t> LegsRelay::new_cached_tokens() const {
  const bool may_be_new = relays_.options().answer.prefill_cached_tokens && legs_ != nullptr &&
                          answer_.status() == kHttpOk && bodies_->says_cached_tokens();
  if (!may_be_new || legs_->report().path != HandoffReport::Path::kTwoLegs) return std::nullopt;
  return legs_->report().cached_tokens;
}

void LegsRelay::on_head(const HttpHead& head) {
  answer_ = head;
  if (first_token_ && (head.status() != kHttpOk || !is_stream())) {
    return cut("the first token was sent, and the decode worker answers " +
               std::to_string(head.status()));
  }
  if (std::exchange(looks_, false) && head.status() == kHttpOk) look_.emplace(is_stream());
}

void LegsRelay::look_at(std::string_view bytes) {
  held_body_ += bytes;
  take_verdict(look_->feed(bytes));
}

void LegsRelay::take_verdict(ThresholdLook::Verdict verdict) {
  if (verdict == ThresholdLook::Verdict::kUndecided) return;
  look_.reset();
  if (verdict == ThresholdLook::Verdict::kBelow) {
    end_decode();
    return legs_->on_below_threshold();
  }
  const std::string held = std::move(held_body_);
  held_body_.clear();
  begin_answer(held);
  if (mode_ != Mode::kRaw) on_body(held);
}

// From here on nothing but the decoder's bytes can follow.
void LegsRelay::begin_answer(std::string_view first_bytes) {
  first_bytes_ = first_bytes;
  if (legs_ != nullptr) legs_->on_decode_begun();
  first_byte_time_ = relays_.loop().now() - begun_;
  const AnswerOptions& wanted = relays_.options().answer;
  const int status = answer_.status();
  const bool bodiless = request_.method() == "HEAD" || is_bodiless(status);
  const std::optional<uint64_t> cached = new_cached_tokens();
  const auto length = answer_.content_length();
  if (cached && !is_stream() && length && *length <= wanted.whole_bytes_max) {
    mode_ = Mode::kWhole;
    return;
  }
  const bool tells_times = bodies_ && is_stream() && status == kHttpOk &&
                           (wanted.timing_trailers || wanted.timing_comment);
  if (tells_times || (cached && is_stream())) usage_ = std::make_unique<UsageStream>(cached);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = request_.minor_version() >= 1;
  const bool may_be_raw = framed && usage_ == nullptr && (modern_client || !answer_.chunked());
  raw_ = may_be_raw ? exchange_->raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(answer_head(answer_, added_fields(), keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    std::string fields = answer_fields(answer_, added_fields());
    if (may_be_raw) append_length(answer_, fields);
    if (tells_times && wanted.timing_trailers) {
      fields += kTimingTrailer;
    }
    exchange_->start(status, fields);
  }
  withheld_ = std::string();
  first_bytes_ = {};
}

void LegsRelay::on_body(std::string_view bytes) {
  if (look_) return look_at(bytes);
  if (HttpExchange::Watcher* watcher = exchange_->watcher()) watcher->on_answer_body(bytes);
  if (mode_ == Mode::kHeld) begin_answer(bytes);
  if (mode_ == Mode::kWhole) {
    held_body_ += bytes;
  } else if (mode_ == Mode::kReframed) {
    if (first_token_) {
      legs_->on_decode_begun();
      const std::optional<std::string_view> more = first_token_->feed(bytes);
      if (!more) return cut("the decode worker's first token is not the prefill worker's");
      bytes = *more;
    }
    exchange_->write(usage_ == nullptr ? bytes : usage_->feed(bytes));
  }
}

void LegsRelay::on_raw(std::string_view bytes) {
  if (mode_ == Mode::kHeld) return withheld_.append(bytes), void();  // framing alone is no body yet
  const size_t unsent = mode_ == Mode::kRaw ? raw_->write_raw(bytes) : exchange_->unsent_bytes();
  if (unsent <= relays_.options().unread_bytes_max || paused_) return;
  paused_ = true;
  call_.pause();
}

void LegsRelay::on_drained() {
  if (std::exchange(paused_, false)) call_.resume();
}

void LegsRelay::on_end() {
  call_.ended();
  if (look_) {
    const ThresholdLook::Verdict verdict = look_->end();
    take_verdict(verdict);
    if (verdict == ThresholdLook::Verdict::kBelow) return;
  }
  if (mode_ == Mode::kHeld) begin_answer({});
  const int status = answer_.status();
  decode_time_ = relays_.loop().now() - decode_begun_;
  if (status >= kHttpServerErrors) {
    failed_at_ = LegStage::kDecode;
    observer_->on_decoder_failed(decoder_);
    forget_last_engine();
  }
  if (mode_ == Mode::kWhole) return finish_whole();
  HttpExchange* const exchange = std::exchange(exchange_, nullptr);
  mode_ == Mode::kRaw ? raw_->finish_raw() : finish_reframed(*exchange);
  finish(status, false);
}

void LegsRelay::finish_whole() {
  const std::string fields = answer_fields(answer_, added_fields());
  if (const std::optional<uint64_t> cached = new_cached_tokens()) {
    if (auto edited = with_cached_tokens(held_body_, *cached)) held_body_ = std::move(*edited);
  }
  const int status = answer_.status();
  std::exchange(exchange_, nullptr)->respond(status, fields, held_body_);
  finish(status, false);
}

// What is known at the end goes behind the decoder's bytes, never between them.
void LegsRelay::finish_reframed(HttpExchange& exchange) {
  if (usage_ == nullptr) return exchange.finish();
  if (first_token_) exchange.write(usage_->feed(first_token_->rest()));
  const std::string_view rest = usage_->rest();
  const bool ends_with_event = rest.empty();
  exchange.write(rest);
  const AnswerOptions& wanted = relays_.options().answer;
  std::string fields;
  append_ms("x-decode-time-ms", *decode_time_, fields);
  append_ms("x-total-time-ms", relays_.loop().now() - begun_, fields);
  if (const auto tokens = usage_->completion_tokens()) {
    fields += "x-tokens-generated: " + std::to_string(*tokens) + "\r\n";
  }
  if (wanted.timing_comment && ends_with_event) {
    std::string comment;
    for (std::string_view lines = fields; !lines.empty();) {
      const size_t end = lines.find("\r\n");
      comment.append(": ").append(lines.substr(0, end)).append("\n");
      lines.remove_prefix(end + 2);
    }
    exchange.write(comment + "\n");
  }
  exchange.finish(wanted.timing_trailers ? fields : std::string());
}

}  // namespace kvasir
