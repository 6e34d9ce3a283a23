#include "wire/ext_proc/ext_proc_response.h"

#include <protozero/pbf_writer.hpp>

namespace kvasir {
namespace {

using protozero::pbf_writer;

// Fields of ProcessingResponse.
constexpr uint32_t kRequestHeaders = 1;
constexpr uint32_t kRequestBody = 3;
constexpr uint32_t kRequestTrailers = 5;
constexpr uint32_t kImmediateResponse = 7;
constexpr uint32_t kDynamicMetadata = 8;
constexpr uint32_t kModeOverride = 9;
// Fields of CommonResponse.
constexpr uint32_t kStatus = 1;
constexpr uint32_t kHeaderMutation = 2;
constexpr uint32_t kBodyMutation = 3;
constexpr uint32_t kClearRouteCache = 5;
// BodyMutation and StreamedBodyResponse.
constexpr uint32_t kBody = 1;
constexpr uint32_t kStreamedResponse = 3;
constexpr uint32_t kEndOfStream = 2;
// CommonResponse and its body mutation sit in field 1 of HeadersResponse and BodyResponse.
constexpr uint32_t kCommon = 1;

// Kinds of google.protobuf.Value.
constexpr uint32_t kNumberValue = 2;
constexpr uint32_t kStringValue = 3;
constexpr uint32_t kStructValue = 5;

constexpr std::string_view kScoresKey = "x-gateway-destination-endpoint-scores";

constexpr uint64_t kContinueAndReplace = 1;
constexpr int32_t kOverwriteIfExistsOrAdd = 2;

// The response's field is the request's plus one, for headers, body and trailers alike.
uint32_t on_side(ExtProcSide side, uint32_t field) {
  return side == ExtProcSide::kRequest ? field : field + 1;
}

void add_text(pbf_writer& writer, uint32_t field, std::string_view text) {
  writer.add_bytes(field, text.data(), text.size());
}

size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// A field of fewer than 16 whose content, `size` bytes, follows.
void open_field(std::string& message, uint32_t field, size_t size) {
  message.push_back(static_cast<char>(field << 3 | 2));
  uint64_t rest = size;
  for (; rest >= 0x80; rest >>= 7) message.push_back(static_cast<char>(rest | 0x80));
  message.push_back(static_cast<char>(rest));
}

size_t field_size(size_t content) {
  return 1 + varint_size(content) + content;
}

void write_mutation(pbf_writer& parent, uint32_t field, const ExtProcMutation& mutation) {
  if (mutation.set.empty() && mutation.remove.empty()) return;
  pbf_writer writer(parent, field);
  for (const ExtProcHeader& header : mutation.set) {
    pbf_writer option(writer, 1);
    {
      pbf_writer value(option, 1);
      add_text(value, 1, header.key);
      add_text(value, 3, header.value);
    }
    if (mutation.append == ExtProcAppend::kOverwrite) option.add_enum(3, kOverwriteIfExistsOrAdd);
  }
  for (const std::string_view name : mutation.remove) add_text(writer, 2, name);
}

// A field of a google.protobuf.Struct: `write` fills its Value.
template <class Write>
void write_struct_field(pbf_writer& structure, std::string_view key, Write write) {
  pbf_writer field(structure, 1);
  add_text(field, 1, key);
  pbf_writer value(field, 2);
  write(value);
}

void write_scores(pbf_writer& value, const std::vector<ExtProcScore>& scores) {
  pbf_writer structure(value, kStructValue);
  for (const ExtProcScore& score : scores) {
    write_struct_field(structure, score.endpoint,
                       [&](pbf_writer& number) { number.add_double(kNumberValue, score.score); });
  }
}

// {"envoy.lb": {scores, key: string...}}
void write_metadata(pbf_writer& parent, const std::vector<ExtProcHeader>& texts,
                    const std::vector<ExtProcScore>& scores) {
  if (texts.empty() && scores.empty()) return;
  pbf_writer outer(parent, kDynamicMetadata);
  write_struct_field(outer, "envoy.lb", [&](pbf_writer& space) {
    pbf_writer structure(space, kStructValue);
    if (!scores.empty()) {
      write_struct_field(structure, kScoresKey,
                         [&](pbf_writer& value) { write_scores(value, scores); });
    }
    for (const ExtProcHeader& entry : texts) {
      write_struct_field(structure, entry.key,
                         [&](pbf_writer& text) { add_text(text, kStringValue, entry.value); });
    }
  });
}

void write_mode(pbf_writer& parent, const ExtProcModeOverride& mode) {
  pbf_writer writer(parent, kModeOverride);
  if (mode.response_header_mode != 0) writer.add_enum(2, mode.response_header_mode);
  if (mode.request_body_mode) writer.add_enum(3, static_cast<int32_t>(*mode.request_body_mode));
  if (mode.response_body_mode) writer.add_enum(4, static_cast<int32_t>(*mode.response_body_mode));
  if (mode.request_trailer_mode != 0) writer.add_enum(5, mode.request_trailer_mode);
  if (mode.response_trailer_mode != 0) writer.add_enum(6, mode.response_trailer_mode);
}

// protozero drops an empty sub-message, but which answer it is must be said even when it changes
// nothing.
void say_at_least(pbf_writer& writer, uint32_t field, const std::string& message) {
  if (message.empty()) writer.add_message(field, "", 0);
}

void write_plain_body(pbf_writer& common, std::string_view body) {
  pbf_writer mutation(common, kBodyMutation);
  if (body.empty()) {
    mutation.add_bool(2, true);  // clear_body
  } else {
    add_text(mutation, kBody, body);
  }
}

}  // namespace

void write_headers_answer(ExtProcSide side, const ExtProcHeadersAnswer& answer,
                          std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer headers(writer, on_side(side, kRequestHeaders));
    pbf_writer common(headers, kCommon);
    if (answer.continue_and_replace) common.add_enum(kStatus, kContinueAndReplace);
    write_mutation(common, kHeaderMutation, answer.mutation);
    if (answer.replaced_body) write_plain_body(common, *answer.replaced_body);
    if (answer.clear_route_cache) common.add_bool(kClearRouteCache, true);
  }
  say_at_least(writer, on_side(side, kRequestHeaders), message);
  write_metadata(writer, answer.metadata, answer.scores);
  if (answer.mode_override) write_mode(writer, *answer.mode_override);
}

void write_streamed_body_head(ExtProcSide side, size_t body_bytes, bool end_of_stream,
                              const std::vector<ExtProcHeader>& metadata, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  write_metadata(writer, metadata, {});
  // The body must come last, so the lengths around it are computed rather than patched in
  // afterwards.
  const size_t streamed = (end_of_stream ? 2 : 0) + field_size(body_bytes);
  const size_t mutation = field_size(streamed);
  const size_t common = field_size(mutation);
  open_field(message, on_side(side, kRequestBody), field_size(common));
  open_field(message, kCommon, common);
  open_field(message, kBodyMutation, mutation);
  open_field(message, kStreamedResponse, streamed);
  if (end_of_stream) message.append({static_cast<char>(kEndOfStream << 3), 1});
  open_field(message, kBody, body_bytes);
}

void write_body_answer(ExtProcSide side, const ExtProcBodyAnswer& answer, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer body(writer, on_side(side, kRequestBody));
    pbf_writer common(body, kCommon);
    write_mutation(common, kHeaderMutation, answer.mutation);
    if (answer.replaced_body) write_plain_body(common, *answer.replaced_body);
    if (answer.clear_route_cache) common.add_bool(kClearRouteCache, true);
  }
  say_at_least(writer, on_side(side, kRequestBody), message);
  write_metadata(writer, answer.metadata.texts, answer.metadata.scores);
}

void write_trailers_answer(ExtProcSide side, const ExtProcMutation& mutation,
                           std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer trailers(writer, on_side(side, kRequestTrailers));
    write_mutation(trailers, 1, mutation);
  }
  say_at_least(writer, on_side(side, kRequestTrailers), message);
}

void write_immediate_answer(const ExtProcImmediate& answer, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  pbf_writer immediate(writer, kImmediateResponse);
  {
    pbf_writer status(immediate, 1);
    status.add_enum(1, static_cast<int32_t>(answer.status));
  }
  write_mutation(immediate, 2, answer.mutation);
  if (!answer.body.empty()) add_text(immediate, 3, answer.body);
  if (!answer.details.empty()) add_text(immediate, 5, answer.details);
}

}  // namespace kvasir
