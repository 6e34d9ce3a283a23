// What goes back to Envoy for a request that was decided.
#include <algorithm>
#include <charconv>

#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

std::string address_of(const Snapshot& fleet, EndpointId id) {
  const Endpoint& endpoint = *fleet.endpoints[index_of(id)].endpoint;
  return to_string(HostPort{endpoint.host, endpoint.port});
}

}  // namespace

void Exchange::send_decision() {
  const std::shared_ptr<const Snapshot> fleet = thread_.pool().snapshot();
  chosen_ = fleet->endpoints[index_of(decision_.endpoint)].endpoint;
  destination_ = address_of(*fleet, decision_.endpoint);
  for (uint8_t i = 0; i < decision_.fallback_count; ++i) {
    destination_.append(",").append(address_of(*fleet, decision_.fallbacks[i]));
  }
  if (decision_.prefill) prefill_ = address_of(*fleet, *decision_.prefill);

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
  if (routed_) routed_->release_prompt();
  fetched_ = {};
  scores_ = {};
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
  score_names_.reserve(scores_.size());
  const std::shared_ptr<const Snapshot> fleet = thread_.pool().snapshot();
  for (const ScoredEndpoint& scored : scores_) {
    score_names_.push_back(address_of(*fleet, scored.endpoint));
    scores.push_back({score_names_.back(), scored.score});
  }
  return scores;
}

void Exchange::add_routing(ExtProcMutation& mutation, std::vector<ExtProcHeader>& metadata) {
  mutation.append = ExtProcAppend::kOverwrite;
  mutation.set.push_back({kDestinationHeader, destination_});
  metadata.push_back({kDestinationHeader, destination_});
  if (!prefill_.empty()) mutation.set.push_back({kPrefillHeader, prefill_});
  if (request_id_.empty()) {
    request_id_ = thread_.new_request_id();
    mutation.set.push_back({kRequestIdHeader, request_id_});
  }
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
  call_.send(thread_.message());
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
      call_.send(thread_.message(), chunk);
    });
  }
  if (!ends_with_trailers_) return;
  write_trailers_answer(ExtProcSide::kRequest, {}, thread_.message());
  call_.send(thread_.message());
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
  call_.send(thread_.message());
}

}  // namespace kvasir
