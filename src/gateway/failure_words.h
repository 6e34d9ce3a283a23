// What a worker did, in the words of logs and errors. Private to gateway/.
#pragma once

#include <string>
#include <string_view>

#include "gateway/probe.h"
#include "net/http/http_client.h"

namespace kvasir {

inline constexpr std::string_view kClosedWords = "connection closed before the answer was complete";

// Server errors that another endpoint may not have. 501 and 505 speak of the request.
bool is_passing(int status);

// A worker that took a request and closed its connection may have died of it.
bool is_closed(const HttpFailure& failure);

// "within 30 s".
std::string within(Duration limit);

// Of a request that got no byte of an answer's body. No address: the endpoint is told by its name.
std::string plain_words(const HttpFailure& failure, const HttpClientLimits& limits);

}  // namespace kvasir
