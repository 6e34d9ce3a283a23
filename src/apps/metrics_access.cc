#include "apps/metrics_access.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

constexpr int kUnknown = 401;
constexpr int kNotAllowed = 403;
constexpr int kNotAsked = 503;

// An object of the answer; none: an empty one.
Json member(const Json& json, const char* name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return found == json.end() ? Json() : *found;
}

bool is_true(const Json& json) {
  return json.is_boolean() && json.get<bool>();
}

}  // namespace

class MetricsAccess::Question {
 public:
  Question(MetricsAccess& access, std::string token, std::function<void(int)> done)
      : access_(access), token_(std::move(token)), done_(std::move(done)) {
    const Json review = {{"apiVersion", "authentication.k8s.io/v1"},
                         {"kind", "TokenReview"},
                         {"spec", {{"token", token_}}}};
    post("/apis/authentication.k8s.io/v1/tokenreviews", review,
         [this](const Json& status) { on_user(status); });
  }

  const std::string& token() const { return token_; }
  void answer(int status) { done_(status); }

 private:
  void on_user(const Json& status) {
    if (!is_true(member(status, "authenticated"))) return access_.end(*this, kUnknown);
    const Json user = member(status, "user");
    Json spec = {{"nonResourceAttributes", {{"path", "/metrics"}, {"verb", "get"}}}};
    const std::pair<const char*, const char*> fields[] = {
        {"user", "username"}, {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}};
    for (const auto& [to, from] : fields) {
      Json value = member(user, from);
      if (!value.is_null()) spec[to] = std::move(value);
    }
    const Json review = {{"apiVersion", "authorization.k8s.io/v1"},
                         {"kind", "SubjectAccessReview"},
                         {"spec", std::move(spec)}};
    post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review, [this](const Json& verdict) {
      access_.end(*this, is_true(member(verdict, "allowed")) ? 200 : kNotAllowed);
    });
  }

  // `then` is given the status of the answer. The call before this one stays until the end: it may
  // be on the call stack.
  void post(const char* target, const Json& review, std::function<void(const Json&)> then) {
    constexpr auto kReplace = Json::error_handler_t::replace;
    calls_.push_back(access_.api_.start({"POST", target, review.dump(-1, ' ', false, kReplace)},
                                        [this, then = std::move(then)](const KubeAnswer& answer) {
                                          if (!answer.ok()) return access_.end(*this, kNotAsked);
                                          const Json json =
                                              Json::parse(answer.body, nullptr, false);
                                          then(member(json, "status"));
                                        }));
  }

  MetricsAccess& access_;
  const std::string token_;
  const std::function<void(int)> done_;
  std::vector<std::unique_ptr<KubeCall>> calls_;
};

MetricsAccess::MetricsAccess(Executor& executor, KubeApi& api, MetricsAccessOptions options)
    : executor_(executor), api_(api), options_(options) {}

MetricsAccess::~MetricsAccess() = default;

void MetricsAccess::ask(std::string_view authorization, std::function<void(int status)> done) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() ||
      lower_case(authorization.substr(0, kScheme.size())) != kScheme) {
    return done(kUnknown);
  }
  const std::string_view token = authorization.substr(kScheme.size());
  const auto known = kept_.find(token);
  if (known != kept_.end() && executor_.now() < known->second.until) {
    return done(known->second.status);
  }
  if (questions_.size() >= options_.asking_max) return done(kNotAsked);
  auto question = std::make_unique<Question>(*this, std::string(token), std::move(done));
  const Question* key = question.get();
  questions_.emplace(key, std::move(question));
}

// The question goes in a later turn: its call is on the stack.
void MetricsAccess::end(Question& question, int status) {
  if (status != kNotAsked) keep(question.token(), status);
  executor_.post(lifeline_.guard([this, key = &question] { questions_.erase(key); }));
  question.answer(status);
}

void MetricsAccess::keep(const std::string& token, int status) {
  kept_.insert_or_assign(token, Kept{status, executor_.now() + options_.kept});
  if (kept_.size() <= options_.kept_max) return;
  kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
    return a.second.until < b.second.until;
  }));
}

}  // namespace kvasir
