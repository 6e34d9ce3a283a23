// What is looked at of a request before its legs, and the errors that are our own, in the shape of
// vLLM's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "vllm/api_error.h"
#include "wire/request/request_api.h"

namespace kvasir {

class HttpExchange;
class HttpHead;

// Of requests that can have two legs: which API it is, by method and path.
std::optional<RequestApi> two_leg_api(const HttpHead& request);

// Puts the target into the form that the workers read, too: what is decided by a path is decided by
// theirs. An error: the request is to be refused with it.
std::optional<ApiError> take_target(HttpExchange& exchange);

// Of a request that has one leg only: its body without what a client may not say of workers and
// their caches; nullopt: it says nothing. An error: engines may read more of it than is read here.
Result<std::optional<std::string>> body_without_workers(const HttpHead& request,
                                                        std::string_view body);

// The refusal of a body that LegBodies::read() or body_without_workers() did not take, for `why`:
// in the words of the engines, and of the gateway, which say where the JSON breaks and what was
// expected there, as long as finding them is quick. They quote the body: `why` is for logs.
ApiError unreadable_body(const HttpHead& request, std::string_view body, const Error& why);

// `type`: what programs tell errors apart by.
ApiError leg_error(int status, std::string_view type, std::string_view message);
// The header lines of an answer with it.
std::string leg_error_fields(const ApiError& error);

// What an error has beside that when the client may try again soon.
inline constexpr std::string_view kRetryAfterField = "Retry-After: 1\r\n";

}  // namespace kvasir
