#include "plugins/scorer/session_affinity.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "base/base64.h"
#include "base/parameters.h"
#include "base/text.h"
#include "fleet/fleet.h"
#include "hashing/prompt_blocks.h"
#include "plugins/scorer/session_table.h"

namespace kvasir {
namespace {

// Of an endpoint, out of base64.
using NameBuffer = std::array<char, 256>;

bool is_called(const Endpoint& endpoint, std::string_view name) {
  if (endpoint.name == name) return true;
  const size_t slash = name.find('/');
  return slash != std::string_view::npos && endpoint.name == name.substr(slash + 1);
}

// Where a session's name, or the endpoint's, stands in a request: a header, or what a producer found.
struct Source {
  std::string header = {};
  const SessionIds* sessions = nullptr;  // null: the header
};

struct SessionAffinitySettings {
  bool by_session = false;
  std::vector<Source> sources = {};  // the first that is there counts
  Duration ttl{};
  int profile = -1;  // whose choice is kept; -1: the primary one's
};

// The filter and the scorer, and what they know of sessions; which of them it is used as depends on
// its type.
class SessionAffinity : public virtual Plugin {
 public:
  explicit SessionAffinity(SessionAffinitySettings settings)
      : settings_(std::move(settings)), sessions_(settings_.ttl) {}

  // With encoded_endpoint_header the client is told the name that it is to send next time.
  bool watches_answers() const override { return !settings_.by_session; }
  void add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const override {
    if (settings_.by_session) return;
    const Endpoint* kept = keeps_other_ ? origin.prefill : &origin.endpoint;
    if (kept != nullptr) fields.emplace_back(settings_.sources[0].header, encode_base64(kept->name));
  }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<SessionAffinity*>(&predecessor);
    if (old != nullptr) sessions_.take_over(old->sessions_);
    return old != nullptr;
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    // Another endpoint decodes: a session that stays where it decodes is not moved by its prompt.
    if (cycle.request.part == RequestPart::kPrompt && settings_.profile < 0) return;
    keeps_other_ = settings_.profile >= 0 && profiles[0].profile != settings_.profile;
    if (!settings_.by_session) return;
    const std::optional<std::string_view> session = session_of(cycle.request);
    const std::optional<EndpointId> kept = kept_choice(profiles);
    if (session && kept) sessions_.bind(hash(*session), *kept, cycle.now);
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
    const std::optional<std::string_view> session = session_of(cycle.request);
    if (!session) return std::nullopt;
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
    const std::optional<size_t> size = decode_base64(*session, buffer);
    if (!size) return std::nullopt;
    const std::string_view name(buffer.data(), *size);
    return place([&](EndpointId id) {
      return is_called(*cycle.fleet.endpoints[index_of(id)].endpoint, name);
    });
  }

 private:
  static uint64_t hash(std::string_view session) { return prompt_salt(session, ""); }

  std::optional<std::string_view> session_of(const Request& request) const {
    for (const Source& source : settings_.sources) {
      if (source.sessions != nullptr) {
        if (const auto session = source.sessions->session()) return session;
        continue;
      }
      const std::string_view* value = request.header(source.header);
      if (value != nullptr && !trimmed(*value).empty()) return trimmed(*value);
    }
    return std::nullopt;
  }

  std::optional<EndpointId> kept_choice(std::span<const ProfileResult> profiles) const {
    if (settings_.profile < 0) return profiles[0].chosen[0].endpoint;
    for (const ProfileResult& result : profiles) {
      if (result.profile == settings_.profile) return result.chosen[0].endpoint;
    }
    return std::nullopt;
  }

  const SessionAffinitySettings settings_;
  bool keeps_other_ = false;  // not what the primary profile chose: which profile that is, picks say
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

constexpr std::string_view kSessionAttribute = "SessionIDDataKey";

class SettingsReader {
 public:
  SettingsReader(std::string_view name, PluginContext& context) : name_(name), context_(context) {}

  Checked<SessionAffinitySettings> read(const Value& value) {
    Parameters parameters(value, name_);
    settings_.by_session =
        parameters.choice("strategy", "encoded_endpoint_header",
                          {"encoded_endpoint_header", "session_id"}) == "session_id";
    read_header(parameters);
    read_sessions(parameters);
    read_nested(parameters, "encodedEndpointHeaderConfig", &SettingsReader::read_header);
    read_nested(parameters, "sessionIdConfig", &SettingsReader::read_sessions);
    read_profile(parameters);
    take(parameters);
    if (!problems_.empty()) return std::move(problems_);
    if (settings_.by_session) {
      settings_.sources = std::move(sources_);
      if (settings_.sources.empty()) settings_.sources.push_back({"x-session-id"});
    } else {
      settings_.sources.push_back({header_});
    }
    return std::move(settings_);
  }

 private:
  void take(const Parameters& parameters) { append(problems_, parameters.problems()); }

  using Read = void (SettingsReader::*)(Parameters&);
  void read_nested(Parameters& parameters, std::string_view key, Read reader) {
    const Value* value = parameters.any(key);
    if (value == nullptr) return;
    Parameters nested(*value, std::string(name_) + ": " + std::string(key));
    (this->*reader)(nested);
    take(nested);
  }

  void read_header(Parameters& parameters) {
    header_ = lower_case(parameters.text("header", header_));
    if (header_.empty()) header_ = "x-session-token";
  }

  void read_sessions(Parameters& parameters) {
    const double ttl_s =
        parameters.number("evictionTtlSeconds", to_seconds(settings_.ttl), 1e-3, 1e9);
    settings_.ttl = from_seconds(ttl_s);
    parameters.number("evictionSweepSeconds", 10, 1e-9, 1e9);
    const Value* sources = parameters.any("sources");
    if (sources == nullptr) return;
    if (sources->list() == nullptr) return parameters.fail("sources", "must be a list");
    sources_.clear();
    for (const Value& source : *sources->list()) read_source(source);
  }

  void read_source(const Value& value) {
    Parameters source(value, std::string(name_) + ": sources");
    const std::string header = lower_case(source.text("header", ""));
    const std::string attribute = source.text("attribute", "");
    const std::string producer = source.text("producer", "");
    if (header.empty() == attribute.empty()) {
      source.fail("header", "or attribute: exactly one of them says where the session stands");
    } else if (!attribute.empty() && attribute != kSessionAttribute) {
      source.fail("attribute", "'" + attribute + "' is published by no plugin that is built; " +
                                   std::string(kSessionAttribute) +
                                   " is the session of session-id-producer");
    } else if (!attribute.empty()) {
      const Result<SessionIds*> sessions = context_.find<SessionIds>(producer);
      if (sessions) {
        sources_.push_back({"", *sessions});
      } else {
        problems_.push_back({0, sessions.error().message});
      }
    } else {
      sources_.push_back({header});
    }
    take(source);
  }

  void read_profile(Parameters& parameters) {
    const std::string profile = parameters.text("profileName", "");
    if (profile.empty()) return;
    settings_.profile = context_.profile_index(profile);
    if (settings_.profile < 0) parameters.fail("profileName", "names no profile: '" + profile + "'");
  }

  const std::string_view name_;
  PluginContext& context_;
  SessionAffinitySettings settings_{false, {}, std::chrono::seconds(300)};
  std::string header_ = "x-session-token";
  std::vector<Source> sources_;
  std::vector<Remark> problems_;
};

template <class Kind>
MadePlugin make_session_affinity(std::string_view name, const Value& value, PluginContext& context) {
  Checked<SessionAffinitySettings> settings = SettingsReader(name, context).read(value);
  if (!settings) return settings.problems();
  return make_plugin<Kind>(std::move(*settings));
}

}  // namespace

PluginType session_affinity_scorer_plugin() {
  return {"session-affinity-scorer", make_session_affinity<SessionAffinityScorer>, Stability::kAlpha};
}

PluginType session_affinity_filter_plugin() {
  return {"session-affinity-filter", make_session_affinity<SessionAffinityFilter>, Stability::kAlpha};
}

}  // namespace kvasir
