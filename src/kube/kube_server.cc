#include "kube/kube_server.h"

#include <algorithm>
#include <utility>

#include "base/whole_file.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr size_t kPemFileBytesMax = 1024 * 1024;  // what a Kubernetes secret may hold

// Of the two the one that is set.
Result<std::string> text_or_file(const std::string& text, const std::string& file) {
  if (!text.empty() || file.empty()) return text;
  return read_whole_file(file, kPemFileBytesMax);
}

}  // namespace

KubeServer::KubeServer(EventLoop& loop, Resolver& resolver, const KubeConfig& config,
                       const KubeClientLimits& limits)
    : loop_(loop), resolver_(resolver), config_(config), limits_(limits) {}

bool KubeServer::is_old(TimePoint looked_at) const {
  return looked_at == TimePoint::min() || loop_.now() - looked_at >= limits_.token_reread;
}

Result<KubeServer::Pem> KubeServer::read_pem(const ExecAnswer* shown) const {
  Pem pem;
  const std::pair<std::string*, Result<std::string>> parts[] = {
      {&pem.ca, text_or_file(config_.ca_data, config_.ca_file)},
      {&pem.certificate, text_or_file(config_.certificate_data, config_.certificate_file)},
      {&pem.key, text_or_file(config_.key_data, config_.key_file)}};
  for (const auto& [into, text] : parts) {
    if (!text) return text.error();
    *into = *text;
  }
  if (!config_.ca_file.empty() && pem.ca.empty()) {
    return Error{config_.ca_file + " holds no certificate (PEM)"};
  }
  if (shown == nullptr || shown->certificate_pem.empty()) return pem;
  pem.certificate = shown->certificate_pem;
  pem.key = shown->key_pem;
  return pem;
}

Result<void> KubeServer::renew_certificates(const ExecAnswer* shown) {
  if (!config_.tls) return {};
  pem_read_at_ = loop_.now();
  const Result<Pem> pem = read_pem(shown);
  if (!pem) return pem.error();
  if (*pem == pem_ && tls_ != nullptr) return {};
  TlsClientOptions options;
  options.ca_pem = pem->ca;
  options.check_server = config_.check_server;
  options.certificate_pem = pem->certificate;
  options.key_pem = pem->key;
  Result<std::unique_ptr<TlsClientContext>> made = TlsClientContext::create(options);
  if (!made) return Error{config_.source + ": " + made.error().message};
  tls_ = std::move(*made);
  pem_ = *pem;
  return {};
}

// Certificates that cannot be read just now leave those that were there.
void KubeServer::get(const ExecAnswer* shown, Ready ready) {
  const bool other_shown = shown != nullptr && !shown->certificate_pem.empty() &&
                           shown->certificate_pem != pem_.certificate;
  if (is_old(pem_read_at_) || other_shown) {
    const Result<void> renewed = renew_certificates(shown);
    trouble_ = renewed ? "" : renewed.error().message;
    if (!renewed && (tls_ == nullptr || other_shown)) return ready(renewed.error());
  }
  if (look_up_ == nullptr && !is_old(looked_up_at_)) return ready(link());
  waiting_.push_back(std::move(ready));
  if (look_up_ == nullptr) look_up();
}

void KubeServer::look_up() {
  look_up_ =
      resolver_.look_up(loop_, config_.server.host,
                        [this](const Result<Resolver::Addresses>& found) { on_addresses(found); });
}

// The address in use stays when the name still has it.
void KubeServer::on_addresses(const Result<Resolver::Addresses>& found) {
  if (found && !found->empty()) {
    looked_up_at_ = loop_.now();
    const SocketAddress used =
        addresses_.empty() ? preferred_address(*found) : addresses_[address_];
    addresses_ = *found;
    const auto place = std::find(addresses_.begin(), addresses_.end(), used);
    const auto best = place != addresses_.end() ? place
                                                : std::find(addresses_.begin(), addresses_.end(),
                                                            preferred_address(addresses_));
    address_ = static_cast<size_t>(best - addresses_.begin());
  }
  Result<Link> outcome = Error{"cannot look up " + config_.server.host + ": " +
                               (found ? "it has no address" : found.error().message)};
  if (!addresses_.empty()) outcome = link();  // known from before
  const std::vector<Ready> waiting = std::exchange(waiting_, {});
  look_up_.reset();
  const auto alive = lifeline_.token();
  for (const Ready& ready : waiting) {
    if (*alive) ready(outcome);
  }
}

KubeServer::Link KubeServer::link() {
  const SocketAddress address = with_port(addresses_[address_], config_.server.port);
  if (!links_.empty() && links_.back()->tls == tls_ && links_.back()->address == address) {
    return links_.back();
  }
  HttpClientLimits limits;
  limits.connect_timeout = limits_.connect_timeout;
  limits.first_byte_timeout = limits.idle_timeout = limits_.watch_idle_timeout;
  Link link = std::make_shared<KubeServerLink>();
  link->address = address;
  link->tls = tls_;
  const std::string& name =
      config_.tls_server_name.empty() ? config_.server.host : config_.tls_server_name;
  link->http = std::make_unique<HttpClient>(
      loop_, address, limits, config_.tls ? TlsPeer{link->tls.get(), name} : TlsPeer{});
  links_.push_back(link);
  give_back(nullptr);  // the one before may be unused
  return link;
}

void KubeServer::on_connect_failure(const Link& link) {
  if (links_.empty() || link != links_.back()) return;
  if (!addresses_.empty()) address_ = (address_ + 1) % addresses_.size();
  looked_up_at_ = pem_read_at_ = TimePoint::min();
}

// Later: its connections may be on the call stack.
void KubeServer::give_back(Link link) {
  const bool in_use = link != nullptr && !links_.empty() && link == links_.back();
  link.reset();
  if (in_use) return;
  loop_.post(lifeline_.guard([this] {
    if (links_.empty()) return;
    const Link used = links_.back();
    std::erase_if(links_, [&](const Link& one) { return one != used && one.use_count() == 1; });
  }));
}

}  // namespace kvasir
