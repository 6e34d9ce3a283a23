// The Resolver of this machine: what the system's own look-up, getaddrinfo(), says.
//
// That blocks, so it runs on a few threads, which are there while there is something to look up.
// Nobody waits for them: they own what they use, and what they find when nobody listens any more is
// dropped. Equal look-ups under way are one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/io/resolver.h"

namespace kvasir {

struct ResolverLimits {
  size_t threads_max = 16;                      // look-ups of the system at one time
  size_t look_ups_max = 1024;                   // unanswered ones, of whomever; further ones fail
  Duration timeout = std::chrono::seconds(15);  // then a look-up fails, whatever the system does
};

class SystemResolver final : public Resolver {
 public:
  // Blocks; called on any thread, several at one time.
  using Ask = std::function<Result<Addresses>(const std::string& host)>;

  explicit SystemResolver(ResolverLimits limits = {}, Ask ask = ask_system);
  // Does not wait for look-ups under way.
  ~SystemResolver() override;
  SystemResolver(const SystemResolver&) = delete;
  SystemResolver& operator=(const SystemResolver&) = delete;

  [[nodiscard]] std::unique_ptr<LookUp> look_up(Executor& executor, const std::string& host,
                                                Answered answered) override;

  static Result<Addresses> ask_system(const std::string& host);

 private:
  class Waiting;
  struct Shared;

  const std::shared_ptr<Shared> shared_;
};

}  // namespace kvasir
