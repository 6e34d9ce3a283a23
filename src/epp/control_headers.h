// Headers that steer requests, and who may say them.
#pragma once

#include <array>
#include <string_view>

#include "serving/journey_report.h"

namespace kvasir {

inline constexpr std::string_view kDestinationHeader = "x-gateway-destination-endpoint";
inline constexpr std::string_view kScoresKey = "x-gateway-destination-endpoint-scores";
inline constexpr std::string_view kPrefillHeader = "x-prefiller-host-port";
inline constexpr std::string_view kRequestIdHeader = "x-request-id";

// A client that sends one of these would choose what the picker is there to choose: they are
// removed before the request goes on, unless told otherwise. Upstream's picker lets them through.
inline constexpr std::array<std::string_view, 7> kRemovedHeaders = {
    kPrefillHeader,
    "x-encoder-hosts-ports",
    "x-data-parallel-host-port",
    "x-kv-cache-source-host-port",
    "x-gateway-destination-endpoint-subset",
    "x-gateway-destination-endpoint-served",
    kDroppedReasonHeader,
};

// A header by its name and by the older one that still counts.
struct AliasedHeader {
  std::string_view name;
  std::string_view alias;
};
inline constexpr AliasedHeader kObjectiveHeader = {"x-llm-d-inference-objective",
                                                   "x-gateway-inference-objective"};
inline constexpr AliasedHeader kModelRewriteHeader = {"x-llm-d-model-name-rewrite",
                                                      "x-gateway-model-name-rewrite"};

}  // namespace kvasir
