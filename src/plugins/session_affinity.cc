#include "plugins/session_affinity.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "hashing/prompt_blocks.h"
#include "plugins/header_text.h"
#include "plugins/session_table.h"

namespace kvasir {
namespace {

constexpr std::string_view kBase64Letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The text that a base64 text stands for; nullopt when it is none or does not fit. Padding may be
// missing.
using NameBuffer = std::array<char, 256>;
std::optional<std::string_view> decode_base64(std::string_view text, NameBuffer& buffer) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  uint32_t bits = 0;
  int bit_count = 0;
  size_t size = 0;
  for (const char letter : text) {
    const size_t value = kBase64Letters.find(letter);
    if (value == std::string_view::npos || size == buffer.size()) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    buffer[size++] = static_cast<char>(bits >> bit_count);
  }
  return std::string_view(buffer.data(), size);
}

std::string encode_base64(std::string_view text) {
  std::string result;
  uint32_t bits = 0;
  int bit_count = 0;
  for (const char letter : text) {
    bits = bits << 8 | static_cast<unsigned char>(letter);
    for (bit_count += 8; bit_count >= 6;) {
      bit_count -= 6;
      result += kBase64Letters[bits >> bit_count & 63];
    }
  }
  if (bit_count > 0) result += kBase64Letters[bits << (6 - bit_count) & 63];
  result.append((4 - result.size() % 4) % 4, '=');
  return result;
}

bool is_called(const Endpoint& endpoint, std::string_view name) {
  if (endpoint.name == name) return true;
  const size_t slash = name.find('/');
  return slash != std::string_view::npos && endpoint.name == name.substr(slash + 1);
}

struct Settings {
  bool by_session = false;
  std::vector<std::string> headers;
  Duration ttl{};
};

// The filter and the scorer, and what they know of sessions; which of them it is used as depends on
// its type.
class SessionAffinity : public virtual Plugin {
 public:
  explicit SessionAffinity(Settings settings)
      : settings_(std::move(settings)), sessions_(settings_.ttl) {}

  // With encoded_endpoint_header the client is told the name that it is to send next time.
  bool watches_answers() const override { return !settings_.by_session; }
  void add_answer_fields(const Endpoint& endpoint, AnswerFields& fields) const override {
    if (!settings_.by_session)
      fields.emplace_back(settings_.headers[0], encode_base64(endpoint.name));
  }

  void inherit(Plugin& predecessor) override {
    if (auto* old = dynamic_cast<SessionAffinity*>(&predecessor)) {
      sessions_.take_over(old->sessions_);
    }
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    if (!settings_.by_session) return;
    const std::string_view* session = session_of(cycle.request);
    if (session == nullptr) return;
    sessions_.bind(hash(*session), profiles[0].chosen[0].endpoint, cycle.now);
  }

  void endpoint_replaced(EndpointId endpoint) override { sessions_.forget(endpoint); }

  void export_shared(const SharedExport& wanted, TimePoint now, SharedPart& part) override {
    const auto add = [&](uint64_t session, EndpointId endpoint, TimePoint used) {
      part.bindings.push_back({session, endpoint, now - used});
    };
    sessions_.take_new(wanted.new_bindings_max, add);
    part.went_round = sessions_.take_known(wanted.known_bindings_max, add);
  }

  void import_shared(const SharedPart& part, const Snapshot& fleet, TimePoint now) override {
    const size_t known = fleet.endpoints.size();
    const auto name = [&](EndpointId id) -> const std::string& {
      return fleet.endpoints[index_of(id)].endpoint->name;
    };
    for (const SharedBinding& binding : part.bindings) {
      if (index_of(binding.endpoint) >= known) continue;
      sessions_.learn(binding.session, binding.endpoint, now - binding.age, now,
                      [&](EndpointId held) {
                        return index_of(held) >= known || name(binding.endpoint) < name(held);
                      });
    }
  }

 protected:
  // Its place among the candidates.
  std::optional<size_t> bound(const Cycle& cycle, std::span<const EndpointId> candidates) const {
    const std::string_view* session = session_of(cycle.request);
    if (session == nullptr) return std::nullopt;
    const auto place = [&](auto&& is_it) -> std::optional<size_t> {
      const auto found = std::find_if(candidates.begin(), candidates.end(), is_it);
      if (found == candidates.end()) return std::nullopt;
      return static_cast<size_t>(found - candidates.begin());
    };
    if (settings_.by_session) {
      const std::optional<EndpointId> endpoint = sessions_.find(hash(*session), cycle.now);
      if (!endpoint) return std::nullopt;
      return place([&](EndpointId id) { return id == *endpoint; });
    }
    NameBuffer buffer;
    const std::optional<std::string_view> name = decode_base64(*session, buffer);
    if (!name) return std::nullopt;
    return place([&](EndpointId id) {
      return is_called(*cycle.fleet.endpoints[index_of(id)].endpoint, *name);
    });
  }

 private:
  static uint64_t hash(std::string_view session) { return prompt_salt(session, ""); }

  const std::string_view* session_of(const Request& request) const {
    for (const std::string& name : settings_.headers) {
      const std::string_view* value = request.header(name);
      if (value != nullptr && !value->empty()) return value;
    }
    return nullptr;
  }

  const Settings settings_;
  SessionTable sessions_;
};

class SessionAffinityScorer final : public SessionAffinity, public Scorer {
 public:
  using SessionAffinity::SessionAffinity;

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::optional<size_t> place = bound(cycle, candidates);
    if (place) {
      scores[*place] = 1;
    } else {
      std::fill(scores.begin(), scores.end(), std::numeric_limits<double>::quiet_NaN());
    }
  }
};

class SessionAffinityFilter final : public SessionAffinity, public Filter {
 public:
  using SessionAffinity::SessionAffinity;

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const std::optional<size_t> place = bound(cycle, candidates);
    if (!place) return;
    candidates[0] = candidates[*place];
    candidates.resize(1);
  }
};

Result<Settings> read_settings(std::string_view name, const Value& value) {
  Parameters parameters(value, name);
  Settings settings;
  settings.by_session =
      parameters.choice("strategy", "encoded_endpoint_header",
                        {"encoded_endpoint_header", "session_id"}) == "session_id";
  const std::string header = lower_case(parameters.text("header", "x-session-token"));
  const Value* sources = parameters.any("sources");
  settings.ttl =
      std::chrono::seconds(parameters.integer("evictionTtlSeconds", 300, 1, 1'000'000'000));
  parameters.ignore("evictionSweepSeconds");
  parameters.ignore("profileName");
  if (sources != nullptr && sources->list() == nullptr)
    parameters.fail("sources", "must be a list");
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  if (!settings.by_session) settings.headers.push_back(header);
  if (settings.by_session && sources == nullptr) settings.headers.push_back("x-session-id");
  if (sources == nullptr) return settings;
  for (const Value& item : *sources->list()) {
    Parameters source(item, name);
    settings.headers.push_back(lower_case(source.text("header", "")));
    if (!source.has("header"))
      source.fail("header", "is missing: it is the only source that is built");
    if (const Result<void> read = source.finish(); !read) return read.error();
  }
  return settings;
}

template <class Kind>
MadePlugin make(std::string_view name, const Value& value, PluginContext&) {
  Result<Settings> settings = read_settings(name, value);
  if (!settings) return settings.error();
  return make_plugin<Kind>(std::move(*settings));
}

}  // namespace

PluginType session_affinity_scorer_plugin() {
  return {"session-affinity-scorer", make<SessionAffinityScorer>, Stability::kAlpha};
}

PluginType session_affinity_filter_plugin() {
  return {"session-affinity-filter", make<SessionAffinityFilter>, Stability::kAlpha};
}

}  // namespace kvasir
