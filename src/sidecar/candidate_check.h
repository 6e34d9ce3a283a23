// Which of the prefill workers that a request names are in the allowlist, and at which address each
// is asked: a name is looked up once, here, and what is connected to afterwards is the address that
// was compared. So a name whose address changes between two look-ups changes nothing.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/io/resolver.h"
#include "net/io/socket.h"
#include "sidecar/prefiller_allowlist.h"

namespace kvasir {

class CandidateCheck {
 public:
  // Of each candidate, in their order: the literal address to ask it at; nullopt: it is not
  // allowed.
  using Checked = std::vector<std::optional<HostPort>>;
  using Done = std::function<void(Checked checked)>;

  // All must outlive it.
  CandidateCheck(Executor& executor, Resolver& resolver, const PrefillerAllowlist& allowlist,
                 std::vector<HostPort> candidates, Done done);
  CandidateCheck(const CandidateCheck&) = delete;
  CandidateCheck& operator=(const CandidateCheck&) = delete;

  // Calls `done` once: at once when no candidate is a name, else in a later turn, unless the object
  // is destroyed before; it may destroy it.
  void start() { next(); }

 private:
  void next();
  std::optional<HostPort> allowed(const HostPort& candidate,
                                  const Resolver::Addresses& addresses) const;

  Executor& executor_;
  Resolver& resolver_;
  const PrefillerAllowlist& allowlist_;
  const std::vector<HostPort> candidates_;
  const Done done_;
  Checked checked_;
  std::unique_ptr<Resolver::LookUp> look_up_;
};

}  // namespace kvasir
