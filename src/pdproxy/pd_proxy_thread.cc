#include "pdproxy/pd_proxy_thread.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/integer_text.h"
#include "base/text.h"
#include "legs/leg_requests.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "pdproxy/pair_page.h"
#include "pdproxy/pd_request.h"
#include "pdproxy/prompt_limit.h"
#include "pdproxy/prompt_question.h"
#include "pdproxy/room_question.h"
#include "pdproxy/worker_poll.h"
#include "wire/kv_transfer/leg_bodies.h"
#include "wire/request/token_question.h"

namespace kvasir {
namespace {

constexpr int kNotImplemented = 501;
constexpr size_t kRequestIdBytesMost = 256;
constexpr std::string_view kPlainFields = "Content-Type: text/plain; charset=utf-8\r\n";
constexpr std::string_view kPageFields =
    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

// A request on its way to its legs.
struct PdProxyThread::Serving {
  RequestApi api;
  LegBodies bodies;
  uint64_t tokens = 0;  // of the prompt, at most; with a limit of them
  bool is_long = false;
};

// A page that is answered when the workers were asked. Its client may leave meanwhile.
class PdProxyThread::PageRequest final : public HttpExchange::Observer {
 public:
  PageRequest(PdProxyThread& thread, HttpExchange& exchange, bool metrics)
      : thread_(thread), exchange_(&exchange), listed_(thread.proxy_.workers().list()) {
    exchange.set_observer(this);
    std::vector<LegWorker> workers;
    for (const PdWorkers::Listed& each : listed_) workers.push_back({each.worker->address});
    const PdProxyOptions& options = thread.options();
    poll_ = std::make_unique<WorkerPoll>(
        thread.loop_, thread.clients_, workers,
        WorkerPoll::Options{metrics ? "/metrics" : "/health", metrics, options.engine_page_timeout,
                            options.engine_page_bytes_max},
        [this, metrics](const std::vector<PolledWorker>& answers) {
          metrics ? give_metrics(answers) : give_readiness(answers);
          thread_.pages_.erase(this);
        });
  }

 private:
  void on_client_gone() override {
    exchange_ = nullptr;
    thread_.pages_.erase(this);
  }
  void give_metrics(const std::vector<PolledWorker>& answers) {
    std::string page = thread_.probe().page(thread_.proxy_.workers(),
                                            thread_.proxy_.rooms().waiting(), thread_.loop_.now());
    append_pair_metrics(answers, page);
    exchange_->respond(kHttpOk, kPageFields, page);
  }
  void give_readiness(const std::vector<PolledWorker>& answers) {
    std::string why = why_not_ready(P2pRole::kPrefill, answers);
    why += why_not_ready(P2pRole::kDecode, answers);
    if (why.empty()) return exchange_->respond(kHttpOk, kPlainFields, "ready\n");
    exchange_->respond(kHttpServiceUnavailable, kPlainFields, why);
  }
  // A line; empty: a worker of the role is ready.
  std::string why_not_ready(P2pRole role, const std::vector<PolledWorker>& answers) {
    std::string line;
    for (size_t i = 0; i < answers.size(); ++i) {
      const PdWorker& worker = *listed_[i].worker;
      if (worker.role != role || worker.name.empty()) continue;
      const int status = answers[i].status;
      if (status == kHttpOk) return {};
      line += line.empty() ? ": " : ", ";
      line += to_string(worker.address) +
              (status == 0 ? " does not answer" : " answers " + std::to_string(status));
    }
    if (line.empty()) return thread_.proxy_.workers().why_none(role) + "\n";
    return (role == P2pRole::kPrefill ? "no prefill worker is ready"
                                      : "no decode worker is ready") +
           line + "\n";
  }

  PdProxyThread& thread_;
  HttpExchange* exchange_;
  const std::vector<PdWorkers::Listed> listed_;
  std::unique_ptr<WorkerPoll> poll_;
};

PdProxyThread::PdProxyThread(PdProxy& proxy, EventLoop& loop, Descriptor listener)
    : proxy_(proxy),
      loop_(loop),
      random_(random_seed()),
      clients_(
          loop, proxy.resolver(),
          {proxy.options().clients_most, proxy.options().name_lifetime, proxy.options().client}),
      relays_(loop, clients_, random_, {proxy.options().handoff, proxy.options().unread_bytes_max}),
      server_(loop, std::move(listener), *this, proxy.options().server, &proxy.bodies()) {}

PdProxyThread::~PdProxyThread() = default;

void PdProxyThread::on_request(HttpExchange& exchange) {
  if (const auto error = take_target(exchange)) return refuse(exchange, *error);
  if (answer_itself(exchange)) return;
  const HttpHead& head = exchange.head();
  const std::optional<RequestApi> api = two_leg_api(head);
  if (!api) return pass_on(exchange);
  if (options().backend == PdBackend::kP2p && *api == RequestApi::kResponses) {
    return refuse(exchange,
                  leg_error(kNotImplemented, "NotImplementedError",
                            "the workers find each other by the request id, and /v1/responses "
                            "takes none; use /v1/chat/completions"));
  }
  Result<LegBodies> bodies = LegBodies::read(*api, exchange.body());
  if (!bodies) return refuse_body(exchange, bodies.error());
  Serving serving{*api, std::move(*bodies)};
  if (options().backend == PdBackend::kP2p) return serve(exchange, std::move(serving));
  PromptLimit limit = check_prompt(*api, exchange.body(), options().fs_prompt_tokens_max);
  switch (limit.fit) {
    case PromptFit::kFits:
      serving.tokens = limit.tokens;
      return serve(exchange, std::move(serving));
    case PromptFit::kTooLong:
      return serve_long(exchange, std::move(serving), "may have");
    case PromptFit::kToBeCounted:
      return count_first(exchange, std::move(serving), std::move(limit.question));
  }
}

bool PdProxyThread::answer_itself(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() != "GET" && head.method() != "HEAD") return false;
  if (head.path() == "/health") return exchange.respond(kHttpOk, "", ""), true;
  if (head.path() == "/ready") return give_page(exchange, false), true;
  if (head.path() == "/metrics") return give_page(exchange, true), true;
  return false;
}

void PdProxyThread::give_page(HttpExchange& exchange, bool metrics) {
  auto page = std::make_unique<PageRequest>(*this, exchange, metrics);
  const PageRequest* const key = page.get();
  pages_.emplace(key, std::move(page));
}

// An engine with a P2pNcclConnector waits for ever for the blocks of what it generates alone.
std::optional<ApiError> PdProxyThread::why_not_passed_on(const HttpHead& head) const {
  const bool reads = head.method() == "GET" || head.method() == "HEAD";
  const bool counts = head.path() == kTokenizePath || head.path() == "/detokenize";
  if (options().backend == PdBackend::kFs || reads || counts) return std::nullopt;
  return leg_error(kNotImplemented, "NotImplementedError",
                   "prompts go to /v1/completions, /v1/chat/completions, /v1/messages and "
                   "/inference/v1/generate");
}

void PdProxyThread::pass_on(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (const auto error = why_not_passed_on(head)) return refuse(exchange, *error);
  Result<std::optional<std::string>> body = body_without_workers(head, exchange.body());
  if (!body) return refuse_body(exchange, body.error());
  const size_t most = options().handoff.prefill_attempts_most;
  PdCandidates decoders = proxy_.workers().candidates(P2pRole::kDecode, most, loop_.now());
  if (decoders.workers.empty()) return refuse_without(P2pRole::kDecode, exchange);
  auto request =
      std::make_unique<PdRequest>(options(), probe(), loop_, std::string(head.method()), new_id());
  request->use({}, std::move(decoders));
  LegsRoute route;
  route.request_id = request_id_of(head, random_);
  route.decoders = request->decoders();
  relays_.start(exchange, std::move(route), std::move(request), std::move(*body));
}

void PdProxyThread::count_first(HttpExchange& exchange, Serving serving, std::string question) {
  const PdCandidates workers = proxy_.workers().candidates(
      P2pRole::kPrefill, options().handoff.prefill_attempts_most, loop_.now());
  if (workers.workers.empty()) return serve(exchange, std::move(serving));
  auto held = std::make_shared<Serving>(std::move(serving));
  const auto key = std::make_shared<const PromptQuestion*>(nullptr);
  auto asked = std::make_unique<PromptQuestion>(
      loop_, clients_, options(), exchange, PdRequest::legs_to(workers.workers),
      std::move(question), [this, held, key, &exchange](const PromptQuestion::Answer& answer) {
        const auto done = std::move(questions_.at(*key));
        questions_.erase(*key);
        if (answer.client_left) return;
        if (!answer.tokens) {
          if (answer.unreachable) {
            return refuse(exchange,
                          leg_error(kHttpBadGateway, "prefill_upstream_error",
                                    "the prompt's tokens could not be counted: " + answer.why));
          }
          return serve_long(exchange, std::move(*held), "may have");
        }
        if (*answer.tokens <= options().fs_prompt_tokens_max) {
          held->tokens = *answer.tokens;
          return serve(exchange, std::move(*held));
        }
        serve_long(exchange, std::move(*held), "has " + std::to_string(*answer.tokens) + ",");
      });
  *key = asked.get();
  questions_.emplace(*key, std::move(asked));
}

void PdProxyThread::serve_long(HttpExchange& exchange, Serving serving, std::string_view tokens) {
  if (options().on_long_prompt == PdProxyOptions::OnLongPrompt::kDecodeAlone) {
    serving.is_long = true;
    return serve(exchange, std::move(serving));
  }
  refuse(exchange,
         bad_request("prompt",
                     "the prompt " + std::string(tokens) + " more than the " +
                         std::to_string(options().fs_prompt_tokens_max) +
                         " tokens that one step of the prefill engine takes "
                         "(--fs-max-prompt-tokens): ExampleConnector would store its beginning "
                         "only, and the engine that loads that breaks"));
}

void PdProxyThread::serve(HttpExchange& exchange, Serving serving) {
  if (serving.is_long) return send(exchange, std::move(serving), {});
  const RoomWish wish{serving.tokens, options().handoff.prefill_attempts_most};
  if (!has_rooms()) {
    return send(exchange, std::move(serving),
                {proxy_.workers().candidates(P2pRole::kPrefill, wish.most, loop_.now())});
  }
  std::optional<RoomGrant> grant = proxy_.rooms().take(wish, loop_.now());
  if (grant) return send(exchange, std::move(serving), std::move(*grant));
  wait_for_room(exchange, std::move(serving), wish);
}

void PdProxyThread::wait_for_room(HttpExchange& exchange, Serving serving, const RoomWish& wish) {
  auto held = std::make_shared<Serving>(std::move(serving));
  const auto key = std::make_shared<const RoomQuestion*>(nullptr);
  auto asked = std::make_unique<RoomQuestion>(
      loop_, proxy_.rooms(), wish, exchange,
      [this, held, key, &exchange](Result<RoomGrant>* outcome) {
        const auto done = std::move(waiting_.at(*key));
        waiting_.erase(*key);
        if (outcome == nullptr) return;
        if (*outcome) return send(exchange, std::move(*held), std::move(**outcome));
        refuse(
            exchange,
            leg_error(kHttpServiceUnavailable, "prefill_upstream_error", outcome->error().message),
            kRetryAfterField);
      });
  *key = asked.get();
  waiting_.emplace(*key, std::move(asked));
}

void PdProxyThread::send(HttpExchange& exchange, Serving serving, RoomGrant grant) {
  const HttpHead& head = exchange.head();
  const TimePoint now = loop_.now();
  const HandoffOptions& handoff = options().handoff;
  const size_t most = handoff.prefill_attempts_most;
  const bool is_p2p = options().backend == PdBackend::kP2p;
  PdCandidates prefillers = std::move(grant.prefillers);
  // The prefiller sends the blocks to the one that the id names.
  PdCandidates decoders =
      proxy_.workers().candidates(P2pRole::kDecode, is_p2p ? size_t{1} : most, now);
  const bool decodes_alone = serving.is_long || handoff.on_prefill_failure ==
                                                    HandoffOptions::OnPrefillFailure::kLocalDecode;
  const bool no_prefiller = prefillers.workers.empty() && !decodes_alone;
  if (no_prefiller) return refuse_without(P2pRole::kPrefill, exchange);
  if (decoders.workers.empty()) return refuse_without(P2pRole::kDecode, exchange);
  std::string unique = new_id();
  LegsRoute route;
  const std::string_view given = head.find("x-request-id").value_or("");
  route.request_id = given.empty() ? unique : std::string(given.substr(0, kRequestIdBytesMost));
  auto request = std::make_unique<PdRequest>(options(), probe(), loop_, std::string(head.method()),
                                             std::move(unique));
  request->use(std::move(prefillers), std::move(decoders));
  if (serving.is_long) request->set_long();
  if (has_rooms()) request->use_room(proxy_.rooms(), serving.tokens, std::move(grant.room));
  route.prefillers = request->prefillers();
  route.decoders = request->decoders();
  relays_.start(exchange, std::move(serving.bodies), std::move(route), std::move(request));
}

std::string PdProxyThread::new_id() {
  return hexadecimal(random_.next()) + hexadecimal(random_.next());
}

void PdProxyThread::refuse_without(P2pRole role, HttpExchange& exchange) {
  refuse(exchange,
         leg_error(kHttpServiceUnavailable,
                   role == P2pRole::kPrefill ? "prefill_upstream_error" : "decode_upstream_error",
                   proxy_.workers().why_none(role)));
}

void PdProxyThread::refuse(HttpExchange& exchange, const ApiError& error,
                           std::string_view more_fields) {
  probe().on_refused(error.status, error.message);
  exchange.respond(error.status, leg_error_fields(error).append(more_fields), error_body(error));
}

void PdProxyThread::refuse_body(HttpExchange& exchange, const Error& why) {
  const ApiError error = unreadable_body(exchange.head(), exchange.body(), why);
  probe().on_refused(error.status, why.message);
  exchange.respond(error.status, leg_error_fields(error), error_body(error));
}

HttpHandler::Refusal PdProxyThread::on_refused(int status, std::string_view reason) {
  probe().on_refused(status, reason);
  const ApiError error =
      status == 400 ? not_http_error() : leg_error(status, "BadRequestError", reason);
  return {leg_error_fields(error), error_body(error)};
}

}  // namespace kvasir
