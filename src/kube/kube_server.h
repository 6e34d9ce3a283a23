// The way to the API server: its address, whom to believe, and connections. A new way is made when
// one of them changes; what is under way ends on the old one. Private to kube/.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "base/result.h"
#include "kube/kube_client.h"
#include "kube/kube_config.h"
#include "net/http/http_client.h"
#include "net/io/resolver.h"
#include "net/io/tls_context.h"
#include "wire/kube/exec_answer.h"

namespace kvasir {

// Connections to one address with one set of certificates.
struct KubeServerLink {
  SocketAddress address;
  std::shared_ptr<const TlsClientContext> tls;  // null: plain
  std::unique_ptr<HttpClient> http;
};

class KubeServer {
 public:
  using Link = std::shared_ptr<KubeServerLink>;
  using Ready = std::function<void(const Result<Link>&)>;

  // All must outlive it.
  KubeServer(EventLoop& loop, Resolver& resolver, const KubeConfig& config,
             const KubeClientLimits& limits);
  KubeServer(const KubeServer&) = delete;
  KubeServer& operator=(const KubeServer&) = delete;

  // An Error now: files that cannot be used.
  Result<void> check() { return renew_certificates(nullptr); }
  // Calls `ready` at once, or when the name was looked up. `shown`: a program's certificate, or
  // null. What was got is given back with give_back().
  void get(const ExecAnswer* shown, Ready ready);
  // Over this one no connection could be made: the next get() looks again at name and files.
  void on_connect_failure(const Link& link);
  void give_back(Link link);
  // Why the files could not be read again, while what they held is used; else empty.
  const std::string& trouble() const { return trouble_; }

 private:
  // What certificates are made of.
  struct Pem {
    std::string ca, certificate, key;
    bool operator==(const Pem&) const = default;
  };

  Result<Pem> read_pem(const ExecAnswer* shown) const;
  Result<void> renew_certificates(const ExecAnswer* shown);
  bool is_old(TimePoint looked_at) const;
  void look_up();
  void on_addresses(const Result<Resolver::Addresses>& found);
  Link link();

  EventLoop& loop_;
  Resolver& resolver_;
  const KubeConfig& config_;
  const KubeClientLimits& limits_;
  Pem pem_;
  TimePoint pem_read_at_ = TimePoint::min();
  std::string trouble_;
  std::shared_ptr<const TlsClientContext> tls_;  // of `pem_`; null: plain, or not made yet
  Resolver::Addresses addresses_;
  size_t address_ = 0;  // which of them is used: the next one after a failure
  TimePoint looked_up_at_ = TimePoint::min();
  std::unique_ptr<Resolver::LookUp> look_up_;
  std::vector<Ready> waiting_;
  std::vector<Link> links_;  // the last one is in use, others only as long as somebody has them
  Lifeline lifeline_;
};

}  // namespace kvasir
