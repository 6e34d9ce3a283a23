// One GET and its whole answer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/http/http_query.h"
#include "net/io/socket.h"

namespace kvasir {

class EventLoop;
class Resolver;

// Calls `fetched` once, unless the returned handle is destroyed before. Not before this returns.
// `timeout` is for all of it, the look-up of the name included. `resolver` outlives the handle.
class HttpFetch;
std::shared_ptr<HttpFetch> start_fetch(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                                       const std::string& path, Duration timeout,
                                       std::function<void(Result<HttpAnswer>)> fetched);

// Runs the loop until the answer is there.
Result<HttpAnswer> fetch(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                         const std::string& path, Duration timeout);
// The body of a 200 answer; any other is an error that names the URL.
Result<std::string> fetch_body(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                               const std::string& path, Duration timeout);

// Runs the loop until `done`, which something on the loop sets before it calls loop.stop().
void run_until(EventLoop& loop, const bool& done);

}  // namespace kvasir
