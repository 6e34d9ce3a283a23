// What goes back to Envoy for a request that was decided.
#include <algorithm>
#include <charconv>

#include "epp/epp_thread.h"
#include "epp/exchange.h"

namespace kvasir {
namespace {

std::string address_of(const Endpoint& endpoint) {
  return to_string(HostPort{endpoint.host, endpoint.port});
}

}  // namespace

void Exchange::send_decision() {
  const Decision& decision = journey_.decision();
  destination_ = address_of(*journey_.endpoint());
  for (uint8_t i = 0; i < decision.fallback_count; ++i) {
    destination_.append(",").append(address_of(*journey_.endpoint_at(decision.fallbacks[i])));
  }
  if (decision.prefill) prefill_ = address_of(*journey_.endpoint_at(*decision.prefill));

  const bool headers_are_open = headers_seen_ && (defers_headers() || unanswered_chunks_ == 0);
  phase_ = Phase::kSentOn;
  if (headers_are_open) {
    send_headers_answer(true);
    if (unanswered_chunks_ > 0 || ends_with_trailers_) send_request_body();
  } else {
    send_body_answer(true);
  }
  thread_.release_body_bytes(body_.capacity());
  body_.release();
  inflated_ = {};
  rewrite_.reset();
  head_.release();
  journey_.release_prompt();
  score_names_ = {};
  subset_.reset();
  // A request that passed unread loads its endpoint like any other: its answer is watched too.
  if (!thread_.needs_answers() && !restorer_) {
    // Envoy goes on without us: the answer costs nothing.
    end(Ending::kNotWatched);
    finish(GrpcCode::kOk);
  }
}

// Of every candidate that was scored; the views are into score_names_.
std::vector<ExtProcScore> Exchange::scores() {
  std::vector<ExtProcScore> scores;
  const std::span<const ScoredEndpoint> candidates = journey_.scores();
  score_names_.reserve(candidates.size());
  for (const ScoredEndpoint& scored : candidates) {
    score_names_.push_back(address_of(*journey_.endpoint_at(scored.endpoint)));
    scores.push_back({score_names_.back(), scored.score});
  }
  return scores;
}

void Exchange::add_routing(ExtProcMutation& mutation, std::vector<ExtProcHeader>& metadata) {
  mutation.append = ExtProcAppend::kOverwrite;
  mutation.set.push_back({kDestinationHeader, destination_});
  metadata.push_back({kDestinationHeader, destination_});
  if (!prefill_.empty()) mutation.set.push_back({kPrefillHeader, prefill_});
  if (std::string& id = journey_.names().request_id; id.empty()) {
    id = thread_.new_request_id();
    mutation.set.push_back({kRequestIdHeader, id});
  }
  if (rewrite_ && !inflated_.empty()) mutation.remove.push_back("content-encoding");
  if (thread_.options().keep_control_headers) return;
  for (const std::string_view name : kRemovedHeaders) {
    const bool is_ours = name == kPrefillHeader && !prefill_.empty();
    if (!is_ours && head_.has(name)) mutation.remove.push_back(name);
  }
}

void Exchange::send_headers_answer(bool with_decision) {
  ExtProcHeadersAnswer& answer = thread_.headers_answer();
  char length[24];
  if (with_decision) {
    answer.clear_route_cache = true;
    add_routing(answer.mutation, answer.metadata);
    if (thread_.options().emit_scores) answer.scores = scores();
    if (defers_headers() && request_bytes_ > 0) {
      const size_t size = rewrite_ ? rewrite_->size() : body_.size();
      const auto end = std::to_chars(length, length + sizeof length, size);
      answer.mutation.set.push_back(
          {"Content-Length", {length, static_cast<size_t>(end.ptr - length)}});
    }
  }
  write_headers_answer(ExtProcSide::kRequest, answer, thread_.message());
  send();
}

// The whole body again, or an unchanged answer for each of its pieces.
void Exchange::send_request_body() {
  if (protocol_.request_body_mode == ExtProcBodyMode::kStreamed) {
    for (; unanswered_chunks_ > 0; --unanswered_chunks_) send_body_answer(false);
  } else {
    const std::string rewritten = rewrite_ ? whole(*rewrite_) : std::string();
    for_each_chunk(rewrite_ ? rewritten : body_.view(), [&](std::string_view chunk, bool last) {
      write_streamed_body_head(ExtProcSide::kRequest, chunk.size(), last && !ends_with_trailers_,
                               {}, thread_.message());
      send(chunk);
    });
  }
  if (!ends_with_trailers_) return;
  write_trailers_answer(ExtProcSide::kRequest, {}, thread_.message());
  send();
}

void Exchange::send_body_answer(bool with_decision) {
  ExtProcBodyAnswer answer;
  std::string rewritten;
  std::string length;
  if (with_decision) {
    answer.clear_route_cache = true;
    add_routing(answer.mutation, answer.metadata.texts);
    if (thread_.options().emit_scores) answer.metadata.scores = scores();
    if (rewrite_) {
      rewritten = whole(*rewrite_);
      answer.replaced_body = rewritten;
      length = std::to_string(rewritten.size());
      answer.mutation.set.push_back({"content-length", length});
    }
  }
  write_body_answer(ExtProcSide::kRequest, answer, thread_.message());
  send();
}

void Exchange::send_refusal(const JourneyRefusal& refusal) {
  std::string body("inference error: ");
  body.append(refusal.code).append(" - ").append(refusal.text);
  ExtProcImmediate answer;
  answer.status = static_cast<uint32_t>(refusal.status);
  answer.body = body;
  if (!refusal.dropped_reason.empty()) {
    answer.mutation.set.push_back({kDroppedReasonHeader, refusal.dropped_reason});
  }
  write_immediate_answer(answer, thread_.message());
  send();
  finish(GrpcCode::kOk);
}

}  // namespace kvasir
