// The heads of legs and of the client's answer. Fields of one connection and those by which pickers
// and coordinators speak to sidecars stay behind; all others pass in order, the client's
// credentials included: prefill and decode workers are one service to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http/http_head.h"

namespace kvasir {

struct LegHeadFields {
  std::string_view host;  // stands in for a missing one; the client's stays
  std::string_view request_id;
  std::string_view traceparent = {};                // empty: the client's, if there is one
  std::optional<uint32_t> data_parallel_rank = {};  // likewise
};

// A leg of `request`.
std::string leg_head(const HttpHead& request, size_t body_bytes, const LegHeadFields& fields);

// The whole head of the decoder's answer, whose body is relayed as it is framed. `added`: header
// lines, each "Name: value\r\n", whose names start with x-; the decoder's own of x-request-id goes.
std::string answer_head(const HttpHead& answer, std::string_view added, bool keep_alive);
// The same as fields, for a body that is framed anew.
std::string answer_fields(const HttpHead& answer, std::string_view added);

}  // namespace kvasir
