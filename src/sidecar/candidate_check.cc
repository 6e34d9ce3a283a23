#include "sidecar/candidate_check.h"

#include <utility>

#include "net/io/socket_address.h"

namespace kvasir {

CandidateCheck::CandidateCheck(Executor& executor, Resolver& resolver,
                               const PrefillerAllowlist& allowlist,
                               std::vector<HostPort> candidates, Done done)
    : executor_(executor),
      resolver_(resolver),
      allowlist_(allowlist),
      candidates_(std::move(candidates)),
      done_(std::move(done)) {}

void CandidateCheck::next() {
  while (checked_.size() < candidates_.size()) {
    const HostPort& candidate = candidates_[checked_.size()];
    if (const auto literal = literal_address(candidate.host)) {
      checked_.push_back(allowed(candidate, {*literal}));
      continue;
    }
    look_up_ = resolver_.look_up(
        executor_, candidate.host, [this, &candidate](const Result<Resolver::Addresses>& found) {
          checked_.push_back(found ? allowed(candidate, *found) : std::nullopt);
          next();
        });
    return;
  }
  // A copy: what is called may destroy this.
  const Done done = done_;
  done(std::move(checked_));
}

std::optional<HostPort> CandidateCheck::allowed(const HostPort& candidate,
                                                const Resolver::Addresses& addresses) const {
  for (const SocketAddress& address : addresses) {
    if (!allowlist_.allows(with_port(address, candidate.port))) continue;
    return HostPort{address_text(address), candidate.port};
  }
  return std::nullopt;
}

}  // namespace kvasir
