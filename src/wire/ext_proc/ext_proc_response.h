// envoy.service.ext_proc.v3.ProcessingResponse: what a picker answers, written straight into bytes.
//
// Each function replaces the content of `message`, so that its memory is used again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/ext_proc/ext_proc.h"

namespace kvasir {

// The direction an answer belongs to.
enum class ExtProcSide : uint8_t { kRequest, kResponse };

// envoy.config.core.v3.HeaderValueOption.HeaderAppendAction, as far as it is used.
enum class ExtProcAppend : uint8_t {
  kUnset,      // left to Envoy, as upstream's picker does: replaces
  kOverwrite,  // OVERWRITE_IF_EXISTS_OR_ADD
};

struct ExtProcMutation {
  std::vector<ExtProcHeader> set;
  std::vector<std::string_view> remove;
  ExtProcAppend append = ExtProcAppend::kUnset;
};

// envoy.extensions.filters.http.ext_proc.v3.ProcessingMode: how the rest of this exchange is to be
// sent. 0 leaves a header mode at its default, 1 sends, 2 skips.
struct ExtProcModeOverride {
  uint8_t response_header_mode = 0;
  std::optional<ExtProcBodyMode> request_body_mode;
  std::optional<ExtProcBodyMode> response_body_mode;
  uint8_t request_trailer_mode = 0;
  uint8_t response_trailer_mode = 0;
};

// What the scheduler thought of an endpoint.
struct ExtProcScore {
  std::string_view endpoint;  // ip:port
  double score = 0;
};

// dynamic_metadata {"envoy.lb": {key: string, ..., "x-gateway-destination-endpoint-scores":
// {ip:port: number}}}
struct ExtProcDynamicMetadata {
  std::vector<ExtProcHeader> texts;
  std::vector<ExtProcScore> scores;  // left out when there are none
};

struct ExtProcHeadersAnswer {
  bool clear_route_cache = false;
  bool continue_and_replace = false;  // CommonResponse.status: send no body messages for this side
  ExtProcMutation mutation;
  std::optional<std::string_view> replaced_body;  // with continue_and_replace
  std::vector<ExtProcHeader> metadata;            // the texts of ExtProcDynamicMetadata
  std::vector<ExtProcScore> scores;               // and its scores
  std::optional<ExtProcModeOverride> mode_override;
};

void write_headers_answer(ExtProcSide side, const ExtProcHeadersAnswer& answer,
                          std::string& message);

// A body message of FULL_DUPLEX_STREAMED. Writes all but the body's own bytes, which follow as they
// are: send `message`, then `body_bytes` bytes.
void write_streamed_body_head(ExtProcSide side, size_t body_bytes, bool end_of_stream,
                              const std::vector<ExtProcHeader>& metadata, std::string& message);

// STREAMED and BUFFERED. Header mutations count in BUFFERED only. Where the body is all there is to answer (BUFFERED with
// header mode SKIP), a gateway learns the pick from it.
struct ExtProcBodyAnswer {
  bool clear_route_cache = false;
  ExtProcMutation mutation;
  std::optional<std::string_view> replaced_body;  // nullopt: it stays as it is
  ExtProcDynamicMetadata metadata;
};
void write_body_answer(ExtProcSide side, const ExtProcBodyAnswer& answer, std::string& message);

void write_trailers_answer(ExtProcSide side, const ExtProcMutation& mutation, std::string& message);

struct ExtProcImmediate {
  uint32_t status = 500;
  ExtProcMutation mutation;
  std::string_view body;
  std::string_view details;  // for Envoy's access log
};
void write_immediate_answer(const ExtProcImmediate& answer, std::string& message);

// The most of a body that goes into one message: what upstream's picker sends (Envoy takes 64 KiB
// frames).
inline constexpr size_t kExtProcChunkBytes = 62000;

// Calls `emit(chunk, last)` for a body in pieces of at most kExtProcChunkBytes; an empty body is
// one empty, last piece.
template <class Emit>
void for_each_chunk(std::string_view body, Emit emit) {
  while (body.size() > kExtProcChunkBytes) {
    emit(body.substr(0, kExtProcChunkBytes), false);
    body.remove_prefix(kExtProcChunkBytes);
  }
  emit(body, true);
}

}  // namespace kvasir
