#include "kvmanager/peer_watch.h"

#include <set>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {

struct PeerWatch::Peer {
  Peer(EventLoop& loop, const SocketAddress& its_address, const HttpClientLimits& limits,
       std::string with_url, const HostPort& its_origin)
      : url(std::move(with_url)),
        address{its_address, its_origin},
        client(loop, its_address, limits),
        query(client, its_origin) {}

  const std::string url;
  const PeerAddress address;
  PeerComparison comparison;
  KvDigests theirs;
  HttpClient client;
  HttpQuery query;
};

struct PeerWatch::Name {
  HostPort origin;
  std::string url;
  std::set<std::string> peers;  // by their URLs
  std::unique_ptr<Resolver::LookUp> look_up;
};

Result<void> PeerWatch::check(const PeerWatchOptions& options) {
  for (const std::string& url : options.urls) {
    const Result<HostPort> origin = parse_http_origin(url);
    if (!origin) return origin.error();
  }
  return {};
}

PeerWatch::PeerWatch(EventLoop& loop, Resolver& resolver, PeerWatchOptions options,
                     std::shared_ptr<CacheManager> manager, Changed changed)
    : loop_(loop),
      resolver_(resolver),
      options_(std::move(options)),
      manager_(std::move(manager)),
      changed_(std::move(changed)),
      job_(loop) {
  for (const std::string& url : options_.urls) {
    auto name = std::make_unique<Name>();
    name->origin = *parse_http_origin(url);
    name->url = url;
    names_.push_back(std::move(name));
  }
  if (!names_.empty()) begin_round();
}

PeerWatch::~PeerWatch() {
  loop_.cancel(timer_);
}

std::vector<PeerWatch::PeerAddress> PeerWatch::addresses() const {
  std::vector<PeerAddress> all;
  for (const auto& [url, peer] : peers_) all.push_back(peer->address);
  return all;
}

void PeerWatch::begin_round() {
  timer_ = loop_.after(options_.interval, [this] { begin_round(); });
  for (const std::unique_ptr<Name>& name : names_) {
    if (name->look_up) continue;  // it hangs
    name->look_up =
        resolver_.look_up(loop_, name->origin.host,
                          [this, name = name.get()](const Result<Resolver::Addresses>& found) {
                            const std::unique_ptr<Resolver::LookUp> over = std::move(name->look_up);
                            on_addresses(*name, found);
                          });
  }
}

void PeerWatch::on_addresses(Name& name, const Result<Resolver::Addresses>& found) {
  if (!found || found->empty()) {
    return set_problem(name.url, found ? "its name has no address" : found.error().message);
  }
  std::set<std::string> now;
  for (const SocketAddress& address : *found) {
    if (now.size() == options_.addresses_max) break;
    const SocketAddress whole = with_port(address, name.origin.port);
    const std::string url = "http://" + to_string(HostPort{address_text(whole), name.origin.port});
    now.insert(url);
    if (peers_.contains(url)) continue;
    HttpClientLimits limits;
    limits.first_byte_timeout = options_.answer_timeout;
    limits.idle_timeout = options_.answer_timeout;
    peers_.emplace(url, std::make_unique<Peer>(loop_, whole, limits, url, name.origin));
  }
  if (!now.contains(name.url)) states_.erase(name.url);  // what was wrong with the name is over
  for (const std::string& url : name.peers) {
    if (now.contains(url)) continue;
    peers_.erase(url);  // it moved or went
    states_.erase(url);
  }
  name.peers = std::move(now);
  for (const std::string& url : name.peers) ask(*peers_.at(url));
}

void PeerWatch::ask(Peer& peer) {
  if (peer.query.busy()) return;
  peer.query.get("/api/v1/cache/digest",
                 [this, &peer](const Result<HttpAnswer>& answer) { on_answer(peer, answer); });
}

void PeerWatch::on_answer(Peer& peer, const Result<HttpAnswer>& answer) {
  if (!answer) return set_problem(peer.url, answer.error().message);
  if (answer->head.status() != kHttpOk) {
    return set_problem(peer.url, "it answered " + std::to_string(answer->head.status()));
  }
  Result<KvDigests> theirs = read_kv_digests(answer->body);
  if (!theirs) return set_problem(peer.url, "its digest: " + theirs.error().message);
  peer.theirs = std::move(*theirs);
  answered_.push_back(peer.url);
  compare_next();
}

// What this manager knows is looked at on another thread.
void PeerWatch::compare_next() {
  if (answered_.empty() || job_.busy()) return;
  const std::string url = answered_.back();
  answered_.pop_back();
  const auto started = job_.start([this, url, manager = manager_]() -> BackgroundJob::Use {
    return [this, url, mine = manager->digests()] {
      const auto peer = peers_.find(url);
      if (peer != peers_.end()) compare(*peer->second, mine);
      compare_next();
    };
  });
  if (!started) set_problem(url, "the system gives no thread");
}

void PeerWatch::compare(Peer& peer, const KvDigests& mine) {
  const bool differs = comparing_ && peer.comparison.compare(mine, peer.theirs);
  PeerState& state = states_[peer.url];
  const bool was_reached = std::exchange(state.reached, true);
  state.problem.clear();
  const auto whole = [&state] { return state.compared > 0 && state.compared == state.pods; };
  const bool had_pods = state.compared > 0;
  const bool was_whole = whole();
  state.compared = peer.comparison.compared();
  state.pods = peer.comparison.pods();
  state.differing = peer.comparison.differing();
  // For the first time, or again.
  const bool has_more = (!had_pods && state.compared > 0) || (!was_whole && whole());
  if (differs || !was_reached || has_more) changed_(peer.url, state);
}

void PeerWatch::set_problem(const std::string& url, const std::string& problem) {
  PeerState& state = states_[url];
  const bool is_new = state.reached || state.problem != problem;
  state.reached = false;
  state.problem = problem;
  if (is_new) changed_(url, state);
}

}  // namespace kvasir
