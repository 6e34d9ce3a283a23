#include "worker/worker_server.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <random>

#include "hashing/prompt_blocks.h"
#include "telemetry/log.h"
#include "vllm/openai_response.h"
#include "vllm/request_body.h"
#include "vllm/stream_chunks.h"
#include "worker/transfer_params.h"

namespace kvasir {
namespace {

constexpr std::string_view kVaryField = "Vary: Origin\r\n";
// The handler's name in the metrics for paths that are not there.
constexpr std::string_view kNoHandler = "none";
// What begins with one of these needs the API key.
constexpr std::array<std::string_view, 4> kGuardedPaths = {"/v1", "/v2", "/inference", "/cohere"};

std::string hex(uint64_t value, int digits) {
  char text[20];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

// vLLM's version and a hash of what is served.
std::string fingerprint_of(const WorkerOptions& options) {
  const uint64_t hash = prompt_salt(options.model.root, options.profile.name);
  return "vllm-" + std::string(kEmulatedVersion) + "-" + hex(hash & 0xffffffff, 8);
}

std::string content_type_field(std::string_view type) {
  return std::string("Content-Type: ").append(type).append("\r\n").append(kVaryField);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

std::string decoded(const std::vector<TokenId>& tokens) {
  return decode(tokens);
}

std::optional<std::string_view> content_type_of(const HttpExchange& exchange) {
  return exchange.head().find("Content-Type");
}

std::optional<std::string_view> rank_of(const HttpExchange& exchange) {
  return exchange.head().find("X-Data-Parallel-Rank");
}

bool is_preflight(const HttpHead& head) {
  return head.method() == "OPTIONS" && head.find("Origin") &&
         head.find("Access-Control-Request-Method");
}

// Whether vLLM's HTTP parser takes such a target.
bool is_sound_target(std::string_view target) {
  return target.size() <= kTargetBytesMax &&
         std::none_of(target.begin(), target.end(),
                      [](char byte) { return static_cast<signed char>(byte) < 0; });
}

// Whether requests there are for answers by the engine.
bool makes_answers(std::string_view handler) {
  return handler == "/v1/completions" || handler == "/v1/chat/completions" ||
         handler == "/invocations";
}

// What /invocations looks at.
bool has_messages(std::string_view body) {
  const auto parsed = parse_python_json(body);
  const JsonValue* value = std::get_if<JsonValue>(&parsed);
  const JsonObject* object = value == nullptr ? nullptr : value->object();
  return object != nullptr && find_member(*object, "messages") != nullptr;
}

}  // namespace

WorkerServer::WorkerServer(EventLoop& loop, Descriptor listener, WorkerOptions options,
                           KvEventWriter* events)
    : options_(std::move(options)),
      started_(std::time(nullptr)),
      fingerprint_(fingerprint_of(options_)),
      ids_((uint64_t{std::random_device()()} << 32) | std::random_device()()),
      events_(events),
      engine_(options_.profile, options_.engine, events),
      metrics_(options_.model.names.front(), options_.profile, options_.engine),
      generations_(loop, engine_, options_.profile.block_size, options_.time_scale, options_.seed,
                   metrics_, events),
      server_(loop, std::move(listener), *this, options_.limits) {
  if (options_.tutorial_metrics) metrics_.add_tutorial_names(options_.profile);
}

WorkerServer::~WorkerServer() = default;

void WorkerServer::set_connector(std::unique_ptr<KvConnector> connector, bool recompute,
                                 bool nixl) {
  metrics_.add_transfers(options_.time_scale, nixl);
  generations_.transfers().set_connector(
      std::move(connector), recompute,
      [this](const KvTransferRecord& record) { metrics_.transfers()->on_transfer(record); });
}

void WorkerServer::drain(std::function<void()> drained) {
  server_.drain([this, drained = std::move(drained)]() mutable {
    generations_.transfers().when_idle(std::move(drained));
  });
}

// --- Requests
// ----------------------------------------------------------------------------------------

void WorkerServer::on_request(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  handler_ = kNoHandler;
  if (!is_known_method(head.method()) || !is_sound_target(head.target())) {
    return answer_error(exchange, not_http_error(), "Connection: close\r\n");
  }
  if (is_preflight(head)) {
    return answer(exchange, 400, content_type_field("text/plain; charset=utf-8"),
                  "Disallowed CORS origin");
  }
  const std::string path = path_of(head.target());
  if (!is_authorized(exchange, path)) {
    return answer(exchange, 401, kJsonFields, "{\"error\":\"Unauthorized\"}");
  }
  route(exchange, path);
}

bool WorkerServer::is_authorized(const HttpExchange& exchange, std::string_view path) const {
  if (options_.api_keys.empty() || exchange.head().method() == "OPTIONS") return true;
  const bool guarded =
      std::any_of(kGuardedPaths.begin(), kGuardedPaths.end(),
                  [&](std::string_view prefix) { return path.substr(0, prefix.size()) == prefix; });
  const std::string_view given = exchange.head().find("Authorization").value_or("");
  return !guarded || std::any_of(options_.api_keys.begin(), options_.api_keys.end(),
                                 [&](const std::string& key) { return given == "Bearer " + key; });
}

void WorkerServer::route(HttpExchange& exchange, const std::string& path) {
  const Route* found = find_route(path);
  if (found == nullptr) {
    const bool slash = path.size() > 1 && path.back() == '/';
    const std::string_view without =
        std::string_view(path).substr(0, path.size() - (slash ? 1 : 0));
    if (slash && find_route(without) != nullptr) return redirect(exchange, without);
    return answer_error(exchange, detail_error(404, "Not Found"));
  }
  handler_ = found->path;
  if (!takes_method(*found, exchange.head().method())) {
    const std::string allow = std::string("Allow: ").append(found->methods).append("\r\n");
    return answer_error(exchange, detail_error(405, "Method Not Allowed"), allow);
  }
  dispatch(exchange, found->api);
}

void WorkerServer::redirect(HttpExchange& exchange, std::string_view path) {
  const HttpHead& head = exchange.head();
  const size_t query = head.target().find('?');
  std::string fields = "Location: http://";
  fields.append(head.find("Host").value_or("")).append(path);
  if (query != std::string_view::npos) fields.append(head.target().substr(query));
  answer(exchange, 307, fields.append("\r\n").append(kVaryField), "");
}

void WorkerServer::dispatch(HttpExchange& exchange, WorkerApi api) {
  switch (api) {
    case WorkerApi::kCompletions:
      return complete(exchange);
    case WorkerApi::kChatCompletions:
      return chat(exchange);
    case WorkerApi::kInvocations:
      return has_messages(exchange.body()) ? chat(exchange) : complete(exchange);
    case WorkerApi::kModels:
      return answer_json(exchange, model_list());
    case WorkerApi::kTokenize:
      return tokenize(exchange);
    case WorkerApi::kDetokenize:
      return detokenize(exchange);
    case WorkerApi::kHealth:
      return answer(exchange, 200, kVaryField, "");
    case WorkerApi::kVersion:
      return answer_json(exchange, "{\"version\":\"" + std::string(kEmulatedVersion) + "\"}");
    case WorkerApi::kLoad:
      return answer_json(exchange, "{\"server_load\":0}");
    case WorkerApi::kMetrics:
      return answer(exchange, 200, content_type_field(kExpositionType), metrics_page());
    case WorkerApi::kResetPrefixCache:
      return reset_prefix_cache(exchange);
    case WorkerApi::kOpenApi:
      return answer_json(exchange, openapi_document());
    case WorkerApi::kDocs:
      return answer(exchange, 200, content_type_field("text/html; charset=utf-8"),
                    "<!DOCTYPE html><title>kvasir worker</title><a "
                    "href=\"/openapi.json\">openapi.json</a>\n");
    case WorkerApi::kNotSimulated:
      break;
  }
  answer_error(exchange, {501, ApiError::Shape::kError, "NotImplementedError", std::nullopt,
                          "kvasir worker does not simulate this endpoint."});
}

// --- Answers by the engine
// ---------------------------------------------------------------------------

void WorkerServer::complete(HttpExchange& exchange) {
  const auto parsed = parse_completion_request(content_type_of(exchange), exchange.body());
  if (const ApiError* error = std::get_if<ApiError>(&parsed)) return answer_error(exchange, *error);
  const CompletionRequest& request = std::get<CompletionRequest>(parsed);
  auto admitted = admit(request, options_.model, rank_of(exchange));
  if (const ApiError* error = std::get_if<ApiError>(&admitted)) return refuse(exchange, *error);
  AdmittedRequest& admission = std::get<AdmittedRequest>(admitted);
  GenerationView view;
  view.head = head_of(exchange, request.generation, AnswerKind::kCompletion);
  for (size_t i = 0; i < admission.prompts.size(); ++i) {
    AdmittedPrompt& prompt = admission.prompts[i];
    std::string echo;
    if (request.generation.echo) {
      const std::string* text = std::get_if<std::string>(&request.prompts[i]);
      echo = text != nullptr ? *text : decoded(prompt.tokens);
    }
    view.prompts.push_back({std::move(prompt.tokens), prompt.max_tokens, std::move(echo)});
  }
  generate(exchange, request.generation, std::move(view), admission);
}

void WorkerServer::chat(HttpExchange& exchange) {
  const auto parsed = parse_chat_request(content_type_of(exchange), exchange.body());
  if (const ApiError* error = std::get_if<ApiError>(&parsed)) return answer_error(exchange, *error);
  const ChatRequest& request = std::get<ChatRequest>(parsed);
  auto admitted = admit(request, options_.model, options_.tools, rank_of(exchange));
  if (const ApiError* error = std::get_if<ApiError>(&admitted)) return refuse(exchange, *error);
  AdmittedRequest& admission = std::get<AdmittedRequest>(admitted);
  GenerationView view;
  view.head = head_of(exchange, request.generation, AnswerKind::kChat);
  const ChatMessage& last = request.messages.back();
  const bool echoes = request.generation.echo && last.role == "assistant";
  for (AdmittedPrompt& prompt : admission.prompts) {
    std::string echo = echoes ? last.text : std::string();
    view.prompts.push_back({std::move(prompt.tokens), prompt.max_tokens, std::move(echo)});
  }
  generate(exchange, request.generation, std::move(view), admission);
}

void WorkerServer::generate(HttpExchange& exchange, const GenerationRequest& request,
                            GenerationView view, const AdmittedRequest& admission) {
  if (admission.late_error && !request.stream) return refuse(exchange, *admission.late_error);
  if (request.stream) {
    metrics_.on_http(exchange.head().method(), handler_, 200);
    exchange.start(200, kStreamFields);
  } else {
    view.handler = handler_;
  }
  if (admission.late_error) {
    give_up_blocks(exchange);
    metrics_.on_request_over(false);
    exchange.write(error_event(*admission.late_error).append(kStreamEnd));
    return exchange.finish();
  }
  view.sampling = request.sampling;
  view.include_usage = request.include_usage || options_.force_include_usage;
  view.continuous_usage = request.continuous_usage;
  view.return_token_ids = request.return_token_ids;
  view.echo = request.echo;
  view.hide_answer = admission.hide_answer;
  view.plan = admission.plan;
  EngineFields fields;
  const std::string adapter = adapter_of(request);
  if (!request.cache_salt.empty() || !adapter.empty()) {
    fields.cache_salt = prompt_salt(adapter, request.cache_salt);
    fields.salt_text = request.cache_salt;
  }
  fields.adapter = adapter;
  std::string_view transfer_params;
  if (generations_.transfers().is_on()) {
    transfer_params = transfer_params_of(exchange.body());
    view.cached_tokens = prefiller_cached_tokens(transfer_params);
  } else if (request.has_transfer_params) {
    log_repeated(LogLevel::kWarning, "kv_transfer_params without a connector",
                 "a request's kv_transfer_params have no effect: there is no --kv-transfer-config");
  }
  fields.priority = static_cast<int>(std::clamp<int64_t>(request.priority, INT32_MIN, INT32_MAX));
  generations_.start(request.stream ? make_streamed_generation(exchange, std::move(view))
                                    : make_whole_generation(exchange, std::move(view)),
                     std::move(fields), transfer_params);
}

void WorkerServer::give_up_blocks(const HttpExchange& exchange) {
  if (!generations_.transfers().is_on()) return;
  const std::string_view params = transfer_params_of(exchange.body());
  if (!params.empty()) generations_.transfers().refuse({}, params);
}

// Of a request whose fields are sound.
void WorkerServer::refuse(HttpExchange& exchange, const ApiError& error) {
  give_up_blocks(exchange);
  answer_error(exchange, error);
}

// The adapter that the request names; empty: it names the model itself.
std::string WorkerServer::adapter_of(const GenerationRequest& request) const {
  const bool named = request.model && options_.model.adapter(*request.model) != nullptr;
  return named ? *request.model : std::string();
}

AnswerHead WorkerServer::head_of(const HttpExchange& exchange, const GenerationRequest& request,
                                 AnswerKind kind) {
  AnswerHead head;
  head.kind = kind;
  const std::optional<std::string_view> header = exchange.head().find("X-Request-Id");
  head.id = kind == AnswerKind::kChat ? "chatcmpl-" : "cmpl-";
  if (header) {
    head.id.append(*header);
  } else {
    head.id.append(request.request_id ? *request.request_id : hex(ids_.next(), 16));
  }
  head.created = std::time(nullptr);
  head.model = adapter_of(request).empty() ? options_.model.names.front() : *request.model;
  head.fingerprint = fingerprint_;
  return head;
}

// --- Other answers
// -----------------------------------------------------------------------------------

void WorkerServer::tokenize(HttpExchange& exchange) {
  const auto parsed = parse_tokenize_request(content_type_of(exchange), exchange.body());
  if (const ApiError* error = std::get_if<ApiError>(&parsed)) return answer_error(exchange, *error);
  const TokenizeRequest& request = std::get<TokenizeRequest>(parsed);
  const auto admitted = admit(request, options_.model);
  if (const ApiError* error = std::get_if<ApiError>(&admitted))
    return answer_error(exchange, *error);
  const auto& tokens = std::get<std::vector<TokenId>>(admitted);
  std::vector<std::string> texts;
  if (request.return_token_strs) {
    for (const TokenId token : tokens) texts.push_back(decoded({token}));
  }
  answer_json(exchange, tokenize_answer(tokens, options_.model.max_model_len,
                                        request.return_token_strs ? &texts : nullptr));
}

void WorkerServer::detokenize(HttpExchange& exchange) {
  const auto parsed = parse_detokenize_request(content_type_of(exchange), exchange.body());
  if (const ApiError* error = std::get_if<ApiError>(&parsed)) return answer_error(exchange, *error);
  const DetokenizeRequest& request = std::get<DetokenizeRequest>(parsed);
  if (auto error = check_model(request.model, options_.model))
    return answer_error(exchange, *error);
  std::vector<TokenId> tokens;
  for (const WideInt token : request.tokens) {
    if (token > UINT32_MAX) {
      return answer_error(exchange,
                          bad_request(std::nullopt, "number too large to fit in target type"));
    }
    // Beyond the vocabulary there is no text.
    if (token < static_cast<WideInt>(kVocabularySize))
      tokens.push_back(static_cast<TokenId>(token));
  }
  answer_json(exchange, detokenize_answer(decoded(tokens)));
}

std::string WorkerServer::metrics_page() {
  AdapterGauges adapters;
  if (options_.model.lora) {
    const AdaptersAtWork at_work = generations_.adapters();
    adapters = {options_.model.adapters_most, joined(at_work.running), joined(at_work.waiting)};
  }
  if (events_ != nullptr) metrics_.set_kv_events(events_->publisher().counts());
  if (generations_.transfers().is_on()) {
    metrics_.transfers()->update(generations_.transfers().stats());
  }
  return metrics_.expose(engine_.stats(), generations_.lost_time(), generations_.now(),
                         options_.model.lora ? &adapters : nullptr);
}

std::string WorkerServer::model_list() const {
  const ServedModel& model = options_.model;
  std::vector<ListedAdapter> adapters;
  for (const LoraAdapter& adapter : model.adapters) {
    adapters.push_back(
        {adapter.name, adapter.path, adapter.base.empty() ? model.names.front() : adapter.base});
  }
  return models_answer(model.names, model.root, adapters, model.max_model_len, started_);
}

void WorkerServer::reset_prefix_cache(HttpExchange& exchange) {
  engine_.reset_prefix_cache();
  answer(exchange, 200, kVaryField, "");
}

HttpHandler::Refusal WorkerServer::on_refused(int status, std::string_view reason) {
  ApiError error = not_http_error();
  if (status != 400) {
    error = {status, ApiError::Shape::kError, std::string(status_text(status)), std::nullopt,
             std::string(reason)};
  }
  return {content_type_field(error_content_type(error)), error_body(error)};
}

void WorkerServer::answer(HttpExchange& exchange, int status, std::string_view fields,
                          std::string_view body) {
  metrics_.on_http(exchange.head().method(), handler_, status);
  if (status >= 400 && makes_answers(handler_)) metrics_.on_request_over(false);
  exchange.respond(status, fields, body);
}

void WorkerServer::answer_json(HttpExchange& exchange, std::string_view body) {
  answer(exchange, 200, kJsonFields, body);
}

void WorkerServer::answer_error(HttpExchange& exchange, const ApiError& error,
                                std::string_view more_fields) {
  std::string fields(more_fields);
  fields.append(content_type_field(error_content_type(error)));
  answer(exchange, error.status, fields, error_body(error));
}

}  // namespace kvasir
