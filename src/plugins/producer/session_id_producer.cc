#include "plugins/producer/session_id_producer.h"

#include <algorithm>

#include "base/parameters.h"
#include "base/text.h"

namespace kvasir {
namespace {

// The value of a cookie in "a=1; b=2".
std::optional<std::string_view> cookie(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const size_t end = std::min(cookies.find(';'), cookies.size());
    const std::string_view pair = trimmed(cookies.substr(0, end));
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

class SessionIdProducer final : public SessionIds {
 public:
  SessionIdProducer(std::string header, std::string cookie)
      : header_(std::move(header)), cookie_(std::move(cookie)) {}

  void produce(const Cycle& cycle) override {
    session_.reset();
    const std::string_view* value = cycle.request.header(cookie_.empty() ? header_ : "cookie");
    if (value == nullptr) return;
    session_ = cookie_.empty() ? trimmed(*value) : cookie(*value, cookie_);
    if (session_ && session_->empty()) session_.reset();
  }
  std::optional<std::string_view> session() const override { return session_; }

 private:
  const std::string header_;
  const std::string cookie_;
  std::optional<std::string_view> session_;
};

MadePlugin make_session_id_producer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const std::string header = lower_case(parameters.text("headerName", "x-session-id"));
  const std::string cookie_name = parameters.text("cookieName", "");
  if (parameters.has("headerName") && !cookie_name.empty()) {
    parameters.fail("cookieName", "and headerName exclude each other");
  }
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<SessionIdProducer>(header, cookie_name);
}

}  // namespace

PluginType session_id_producer_plugin() {
  return {
      "session-id-producer", make_session_id_producer, Stability::kStable, {}, {SessionIds::kKind}};
}

}  // namespace kvasir
