#include "kvmanager/manager_server.h"

#include <chrono>

#include "base/text.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr std::string_view kJsonField = "Content-Type: application/json\r\n";
constexpr std::string_view kBytesField = "Content-Type: application/octet-stream\r\n";
constexpr std::string_view kTextField = "Content-Type: text/plain; charset=utf-8\r\n";
constexpr std::string_view kMetricsField =
    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
constexpr std::string_view kPodPath = "/api/v1/cache/pod/";

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Percent escapes decoded; those that are none stay.
std::string without_escapes(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (text[i] != '%' || low < 0) {
      plain.push_back(text[i]);
      continue;
    }
    plain.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return plain;
}

bool fits_method(std::string_view wanted, std::string_view given) {
  return given == wanted || (wanted == "GET" && given == "HEAD");
}

std::string allow_field(std::string_view method) {
  return std::string("Allow: ").append(method == "GET" ? "GET, HEAD" : method).append("\r\n");
}

}  // namespace

const ManagerServer::ManagerRoute ManagerServer::kRoutes[] = {
    {"/api/v1/score", "POST", &ManagerServer::score},
    {"/api/v1/match", "POST", &ManagerServer::match},
    {"/api/v1/cache/state", "GET", &ManagerServer::state},
    {"/api/v1/cache/pods", "GET", &ManagerServer::pods},
    {"/api/v1/cache/digest", "GET", &ManagerServer::digest},
    {"/api/v1/cache/dump", "GET", &ManagerServer::dump},
    {"/healthz", "GET", &ManagerServer::health},
    {"/readyz", "GET", &ManagerServer::readiness},
    {"/metrics", "GET", &ManagerServer::metrics},
};

ManagerServer::ManagerServer(EventLoop& loop, Descriptor listener,
                             std::shared_ptr<CacheManager> manager, ManagerServerOptions options)
    : manager_(std::move(manager)),
      options_(std::move(options)),
      clock_(loop.clock()),
      server_(loop, std::move(listener), *this, options_.limits),
      slow_(loop) {}

ManagerServer::~ManagerServer() = default;

void ManagerServer::say_not_ready() {
  ready_ = false;
  server_.close_after_answers();
}

void ManagerServer::on_request(HttpExchange& exchange) {
  const std::string_view path = exchange.head().path();
  const std::string_view method = exchange.head().method();
  if (path.substr(0, kPodPath.size()) == kPodPath && path.size() > kPodPath.size()) {
    if (!fits_method("GET", method)) return refuse(exchange, 405, "GET only", allow_field("GET"));
    return pod(exchange, path.substr(kPodPath.size()));
  }
  for (const ManagerRoute& route : kRoutes) {
    if (route.path != path) continue;
    if (fits_method(route.method, method)) return (this->*route.handle)(exchange);
    return refuse(exchange, 405, std::string(route.method) + " only", allow_field(route.method));
  }
  refuse(exchange, kHttpNotFound, "there is nothing at this path");
}

HttpHandler::Refusal ManagerServer::on_refused(int, std::string_view reason) {
  return {std::string(kJsonField), error_json(reason)};
}

void ManagerServer::answer_json(HttpExchange& exchange, int status, std::string_view json,
                                std::string_view more_fields) {
  exchange.respond(status, std::string(kJsonField).append(more_fields), json);
}

void ManagerServer::refuse(HttpExchange& exchange, int status, std::string_view why,
                           std::string_view more_fields) {
  answer_json(exchange, status, error_json(why), more_fields);
}

void ManagerServer::score(HttpExchange& exchange) {
  const TimePoint begin = clock_.now();
  const Result<ScoreQuery> query = read_score_query(exchange.body());
  if (!query) return refuse(exchange, kHttpErrors, query.error().message);
  if (!query->has_prompt()) {
    return refuse(exchange, kHttpErrors,
                  "there is nothing to score: token_ids, prompt or prompt_blocks is wanted");
  }
  answer_json(exchange, kHttpOk, score_json(manager_->score(*query)));
  if (options_.scored) options_.scored(clock_.now() - begin);
}

void ManagerServer::match(HttpExchange& exchange) {
  const TimePoint begin = clock_.now();
  const Result<MatchQuestion> question = read_match_question(exchange.body());
  if (!question) return refuse(exchange, kHttpErrors, question.error().message);
  exchange.respond(kHttpOk, kBytesField, write_match_answer(manager_->match(*question)));
  if (options_.scored) options_.scored(clock_.now() - begin);
}

void ManagerServer::state(HttpExchange& exchange) {
  static const PeerStates kNobody;
  const PeerStates& peers = options_.peers ? options_.peers() : kNobody;
  answer_json(exchange, kHttpOk, state_json(manager_->state(), peers, unix_time()));
}

void ManagerServer::pods(HttpExchange& exchange) {
  answer_json(exchange, kHttpOk, pods_json(manager_->state()));
}

void ManagerServer::pod(HttpExchange& exchange, std::string_view escaped_name) {
  const std::optional<PodState> state = manager_->pod_state(without_escapes(escaped_name));
  if (!state) return refuse(exchange, kHttpNotFound, "no pod of that name has been heard of");
  answer_json(exchange, kHttpOk, pod_json(*state, manager_->top_blocks(state->known.id)));
}

void ManagerServer::digest(HttpExchange& exchange) {
  slow_.add(exchange, [manager = manager_]() -> Result<SlowAnswers::Answer> {
    return SlowAnswers::Answer{std::string(kJsonField), write_kv_digests(manager->digests())};
  });
}

void ManagerServer::dump(HttpExchange& exchange) {
  slow_.add(exchange, [manager = manager_]() -> Result<SlowAnswers::Answer> {
    return SlowAnswers::Answer{std::string(kBytesField), write_snapshot(manager->snapshot())};
  });
}

void ManagerServer::health(HttpExchange& exchange) {
  exchange.respond(kHttpOk, kTextField, "ok\n");
}

void ManagerServer::readiness(HttpExchange& exchange) {
  if (ready_ && !learning_) return exchange.respond(kHttpOk, kTextField, "ok\n");
  exchange.respond(kHttpServiceUnavailable, kTextField,
                   ready_ ? "learning what other managers know\n" : "stopping\n");
}

void ManagerServer::metrics(HttpExchange& exchange) {
  exchange.respond(kHttpOk, kMetricsField, options_.metrics_page ? options_.metrics_page() : "");
}

}  // namespace kvasir
