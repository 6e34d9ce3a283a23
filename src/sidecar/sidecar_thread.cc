#include "sidecar/sidecar_thread.h"

#include <optional>
#include <utility>

#include "base/integer_text.h"
#include "base/text.h"
#include "legs/leg_requests.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "sidecar/own_page.h"
#include "sidecar/prefill_header.h"
#include "wire/kv_transfer/leg_bodies.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {
namespace {

// Upstream's words.
constexpr std::string_view kNotAllowed =
    "Forbidden: prefill target not allowed by SSRF protection";
constexpr std::string_view kRankHeader = "x-data-parallel-host-port";

class TellProbe final : public LegsObserver {
 public:
  TellProbe(SidecarProbe& probe, const SidecarOptions& options, Random& random)
      : probe_(probe), options_(options) {
    probe.on_started();
    if (options.handoff.dialect != KvDialect::kP2p) return;
    unique_ = hexadecimal(random.next()) + hexadecimal(random.next());
  }
  // By which the engines' P2pNcclConnectors find each other.
  std::string leg_request_id(const LegsRoute& route, std::optional<size_t> prefiller,
                             size_t) override {
    if (unique_.empty() || !prefiller) return route.request_id;
    const std::string& host = route.prefillers[*prefiller].address.host;
    return p2p_request_id(to_string(HostPort{host, options_.p2p_port}),
                          to_string(HostPort{options_.pod_ip, options_.p2p_port}), unique_);
  }
  void on_prefill_sent(size_t) override { probe_.on_leg(LegStage::kPrefill); }
  void on_decode_sent(size_t) override { probe_.on_leg(LegStage::kDecode); }
  void on_connection_failed(LegStage stage, std::string_view why) override {
    probe_.on_connection_failed(stage, why);
  }
  void on_done(const LegsReport& report) override { probe_.on_done(report); }

 private:
  SidecarProbe& probe_;
  const SidecarOptions& options_;
  std::string unique_;  // of kP2p
};

}  // namespace

SidecarThread::SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, Place place)
    : sidecar_(sidecar),
      loop_(loop),
      random_(mix64(static_cast<uint64_t>(loop.now().time_since_epoch().count()) +
                    (uint64_t{place.rank} << 32) + place.index)),
      rank_(place.rank),
      prefillers_(loop, sidecar.resolver(),
                  {sidecar.options().prefillers_most, sidecar.options().name_lifetime,
                   sidecar.options().client, sidecar.prefiller_tls()}),
      bootstrap_servers_(loop, sidecar.resolver(),
                         {sidecar.options().prefillers_most, sidecar.options().name_lifetime,
                          sidecar.options().client}),
      bootstrap_(loop, bootstrap_servers_, random_, sidecar.options().bootstrap),
      relays_(loop, prefillers_, random_, relay_options()),
      server_(loop, std::move(listener), *this, sidecar.options().server, &sidecar.bodies(),
              sidecar.tls()) {
  for (uint32_t rank = 0; rank < options().data_parallel_size; ++rank) {
    decoders_.push_back(
        std::make_shared<HttpClient>(loop, sidecar.decoder(rank), options().client,
                                     sidecar.decoder_tls()));
  }
}

SidecarThread::~SidecarThread() {
  for (OwnPage* page : pages_) delete page;
}

LegsRelays::Options SidecarThread::relay_options() {
  return {options().handoff, options().unread_bytes_max, options().answer, &bootstrap_};
}

void SidecarThread::on_request(HttpExchange& exchange) {
  if (const auto error = take_target(exchange)) return refuse(exchange, *error);
  const HttpHead& head = exchange.head();
  if (answer_own_page(exchange)) return;
  const Result<uint32_t> rank = rank_of(head);
  if (!rank) return refuse(exchange, bad_request(std::nullopt, rank.error().message));
  LegsRoute route;
  route.request_id = request_id_of(head, random_);
  route.decoders.push_back({decoder_address(*rank), 0, options().pod_name, decoders_[*rank]});
  const std::optional<RequestApi> api = two_leg_api(head);
  if (api) return start_two_legs(exchange, *api, std::move(route));
  start_one_leg(exchange, std::move(route));
}

HostPort SidecarThread::decoder_address(uint32_t rank) const {
  return {options().decoder.host, static_cast<uint16_t>(options().decoder.port + rank)};
}

// Which rank's decoder: that of the port, or of the one that a picker names by
// x-data-parallel-host-port, POD_IP:PORT.
Result<uint32_t> SidecarThread::rank_of(const HttpHead& request) const {
  const std::string_view named = trimmed(request.find(kRankHeader).value_or(""));
  const bool are_known = !options().pod_ip.empty() || options().data_parallel_size > 1;
  if (named.empty() || !are_known) return rank_;
  for (uint32_t rank = 0; rank < options().data_parallel_size; ++rank) {
    const auto port = static_cast<uint16_t>(options().port + rank);
    if (named == to_string(HostPort{options().pod_ip, port})) return rank;
  }
  return Error{std::string(kRankHeader) + " names no rank of this pod"};
}

std::unique_ptr<LegsObserver> SidecarThread::new_observer() {
  return std::make_unique<TellProbe>(probe(), options(), random_);
}

void SidecarThread::start_one_leg(HttpExchange& exchange, LegsRoute route) {
  Result<std::optional<std::string>> body = body_without_workers(exchange.head(), exchange.body());
  if (!body) return refuse_body(exchange, body.error());
  relays_.start(exchange, std::move(route), new_observer(), std::move(*body));
}

void SidecarThread::start_two_legs(HttpExchange& exchange, RequestApi api, LegsRoute route) {
  Result<LegBodies> bodies = LegBodies::read(api, exchange.body());
  if (!bodies) return refuse_body(exchange, bodies.error());
  if (Result<void> named = name_workers(exchange.head(), route); !named) {
    if (options().allowlist != nullptr) return block(exchange, named.error().message);
    return refuse(exchange, bad_request(std::nullopt, named.error().message));
  }
  const bool has_rooms = options().handoff.dialect == KvDialect::kSglang;
  if (has_rooms && bodies->prompts().value_or(1) > options().prompts_most) {
    return refuse(exchange,
                  bad_request("prompt", "more than " + std::to_string(options().prompts_most) +
                                            " prompts in one request"));
  }
  if (options().allowlist == nullptr || (route.prefillers.empty() && !route.kv_source)) {
    return start_relay(exchange, std::move(*bodies), std::move(route));
  }
  check_workers(exchange, std::move(*bodies), std::move(route));
}

void SidecarThread::start_relay(HttpExchange& exchange, LegBodies bodies, LegsRoute route) {
  relays_.start(exchange, std::move(bodies), std::move(route), new_observer());
}

// --- The allowlist

// A request while names are looked up.
class SidecarThread::Wait final : public HttpExchange::Observer {
 public:
  Wait(SidecarThread& thread, HttpExchange& exchange, LegBodies bodies, LegsRoute route)
      : thread_(thread),
        exchange_(exchange),
        bodies_(std::move(bodies)),
        route_(std::move(route)),
        check_(thread.loop_, thread.sidecar_.resolver(), *thread.options().allowlist,
               candidates_of(route_),
               [this](const CandidateCheck::Checked& checked) { go_on(checked); }) {}

  void start() {
    exchange_.set_observer(this);
    check_.start();
  }
  void on_client_gone() override { thread_.waits_.erase(this); }

 private:
  static std::vector<HostPort> candidates_of(const LegsRoute& route) {
    std::vector<HostPort> candidates;
    for (const LegWorker& worker : route.prefillers) candidates.push_back(worker.address);
    if (route.kv_source) candidates.push_back(route.kv_source->address);
    return candidates;
  }
  void go_on(const CandidateCheck::Checked& checked) {
    exchange_.set_observer(nullptr);
    const auto own = thread_.waits_.extract(this);
    thread_.start_checked(exchange_, std::move(bodies_), std::move(route_), checked);
  }

  SidecarThread& thread_;
  HttpExchange& exchange_;
  LegBodies bodies_;
  LegsRoute route_;
  CandidateCheck check_;
};

void SidecarThread::check_workers(HttpExchange& exchange, LegBodies bodies, LegsRoute route) {
  auto wait = std::make_unique<Wait>(*this, exchange, std::move(bodies), std::move(route));
  Wait& waiting = *wait;
  waits_.emplace(&waiting, std::move(wait));
  waiting.start();
}

void SidecarThread::start_checked(HttpExchange& exchange, LegBodies bodies, LegsRoute route,
                                  const CandidateCheck::Checked& checked) {
  const std::vector<LegWorker> named = std::exchange(route.prefillers, {});
  const std::optional<LegWorker> source = std::exchange(route.kv_source, std::nullopt);
  const auto take = [this](const LegWorker& worker, const std::optional<HostPort>& address) {
    std::optional<LegWorker> taken;
    if (!address) {
      probe().on_blocked(to_string(worker.address));
      return taken;
    }
    taken = worker;
    taken->address = *address;
    return taken;
  };
  for (size_t i = 0; i < named.size(); ++i) {
    if (auto taken = take(named[i], checked[i])) route.prefillers.push_back(std::move(*taken));
  }
  if (source) route.kv_source = take(*source, checked.back());
  if (!named.empty() && route.prefillers.empty()) {
    return refuse(exchange, leg_error(kHttpForbidden, "Forbidden", kNotAllowed));
  }
  start_relay(exchange, std::move(bodies), std::move(route));
}

void SidecarThread::block(HttpExchange& exchange, std::string_view worker) {
  probe().on_blocked(worker);
  refuse(exchange, leg_error(kHttpForbidden, "Forbidden", kNotAllowed));
}

// --- Who is asked

Result<void> SidecarThread::name_workers(const HttpHead& request, LegsRoute& route) {
  Result<std::vector<HostPort>> named = prefill_candidates(request, options().candidates_most);
  if (!named) return named.error();
  if (options().samples_prefillers && named->size() > 1) {
    std::swap(named->front(), (*named)[random_.below(named->size())]);
  }
  for (const HostPort& worker : *named) {
    route.prefillers.push_back({worker, options().handoff.side_port(), {}, nullptr});
  }
  const KvDialect dialect = options().handoff.dialect;
  const bool pulls =
      dialect == KvDialect::kOffloading || (dialect == KvDialect::kNixlV2 && options().nixl_pulls);
  const std::optional<HostPort> source = pulls ? kv_source_of(request) : std::nullopt;
  if (source) route.kv_source = LegWorker{*source, options().handoff.offloading_port, {}, nullptr};
  return {};
}

bool SidecarThread::answer_own_page(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() != "GET" && head.method() != "HEAD") return false;
  if (head.path() == "/health") {
    exchange.respond(kHttpOk, "", "");
    return true;
  }
  const bool is_metrics = head.path() == "/metrics";
  if (!is_metrics && head.path() != "/ready") return false;
  const OwnPage::Kind kind = is_metrics ? OwnPage::Kind::kMetrics : OwnPage::Kind::kReady;
  pages_.insert(new OwnPage(*this, exchange, *decoders_[rank_], decoder_address(rank_), kind));
  return true;
}

void SidecarThread::remove(OwnPage& page) {
  pages_.erase(&page);
  delete &page;
}

void SidecarThread::refuse(HttpExchange& exchange, const ApiError& error) {
  probe().on_refused(error.status, error.message);
  exchange.respond(error.status, leg_error_fields(error), error_body(error));
}

void SidecarThread::refuse_body(HttpExchange& exchange, const Error& why) {
  const ApiError error = unreadable_body(exchange.head(), exchange.body(), why);
  probe().on_refused(error.status, why.message);
  exchange.respond(error.status, leg_error_fields(error), error_body(error));
}

HttpHandler::Refusal SidecarThread::on_refused(int status, std::string_view reason) {
  probe().on_refused(status, reason);
  const ApiError error =
      status == 400 ? not_http_error() : leg_error(status, "BadRequestError", reason);
  return {leg_error_fields(error), error_body(error)};
}

}  // namespace kvasir
