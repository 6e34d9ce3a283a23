// Where the services of a policy's remote sources answer. Their names are looked up at once and
// then again and again: a service that moved is found.
//
// Lives on its executor's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "feeds/address_book.h"
#include "feeds/name_watch.h"
#include "net/io/resolver.h"
#include "serving/remote_scores.h"

namespace kvasir {

class RemoteServiceWatch {
 public:
  // The services whose address is known, in the order of their sources. A service that cannot be
  // looked up keeps the address before.
  using Changed = std::function<void(const std::vector<RemoteService>&)>;
  // Told once for each name, until it can be looked up again.
  using Trouble = std::function<void(std::string_view why)>;

  // `sources` are good (check_sources()); `known`: services that were found before, of these
  // sources or others. Calls `changed` with what is known before it returns, and later when that
  // changed. `executor` and `resolver` must outlive it.
  RemoteServiceWatch(Executor& executor, Resolver& resolver, std::vector<RemoteSource> sources,
                     const std::vector<RemoteService>& known, Duration interval, Changed changed,
                     Trouble trouble);
  RemoteServiceWatch(const RemoteServiceWatch&) = delete;
  RemoteServiceWatch& operator=(const RemoteServiceWatch&) = delete;

 private:
  std::vector<RemoteService> services() const;
  void on_addresses(const std::string& host, const Resolver::Addresses& addresses);

  const std::vector<RemoteSource> sources_;
  const Changed changed_;
  const Trouble trouble_;
  AddressBook addresses_;
  NameWatch watch_;
};

}  // namespace kvasir
