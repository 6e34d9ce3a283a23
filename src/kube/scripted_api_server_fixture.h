// An API server for tests, without a network: it holds objects, answers requests for them and feeds
// watches, and does so right until a test scripts a fault. scripted_api_fronts_fixture.h puts it
// behind HTTP, or makes a KubeApi of it on virtual time.
//
// Nothing happens by itself: a watch hears of a change during the call that made it, and a test
// says when a watch ends, what is held back, and which request goes wrong. Of one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/kube/kube_types.h"

namespace kvasir {

// A request as the server sees it.
struct ScriptedRequest {
  std::string method;
  std::string target;
  std::string body;
  std::string content_type;
  std::string authorization;  // "Bearer TOKEN"
  std::string user_agent;
  std::string path;                          // of the target
  std::map<std::string, std::string> query;  // of the target, decoded

  bool is_watch() const { return query.count("watch") > 0; }
  std::string value(const std::string& key) const {
    const auto found = query.find(key);
    return found == query.end() ? "" : found->second;
  }
};

// Where an answer goes: whole, or in pieces.
class ScriptedReply {
 public:
  virtual ~ScriptedReply() = default;
  virtual void respond(int status, const std::string& fields, const std::string& body) = 0;
  virtual void start(int status) = 0;
  virtual void write(const std::string& bytes) = 0;
  virtual void finish() = 0;
  virtual void cut() = 0;  // closes the connection
};

// What happens to the next request that fits, instead of the right answer.
struct ScriptedStep {
  enum class Do : uint8_t {
    kStatus,  // a Status of `code`, `reason`, `message`, `details`, or `body` as it is
    kStall,   // no answer before go_on()
    kCut,     // the connection is closed without an answer
    kHalf,    // the first half of the right answer, then the connection is closed
    kBody,    // 200 with `body` as it is
  };
  Do what = Do::kStatus;
  std::string fits = {};  // part of "METHOD TARGET"; empty: any
  int code = 500;
  std::string reason = "InternalError";
  std::string message = "scripted";
  std::string fields = {};  // "Retry-After: 3\r\n"
  nlohmann::json details = {};
  std::string body = {};
  size_t times = 1;
};

class ScriptedApiServer {
 public:
  using Json = nlohmann::json;

  // How it answers sendInitialEvents.
  enum class StreamingLists : uint8_t {
    kYes,
    kErrorEvent,  // as with an old etcd: 200, then an ERROR event of code 500
    kInvalid,     // as with the feature off: 422
    kUnknown,     // as a stand-in that ignores the parameter: all objects, and no word of their end
  };

  ScriptedApiServer();

  // --- Objects ---
  // Stores an object, whose apiVersion and kind say where, under a new resourceVersion, and tells
  // watches. Returns it as stored.
  Json put(Json object);
  Json put(const char* text) { return put(Json::parse(text)); }
  void remove(const std::string& api_version, const std::string& kind, const std::string& name,
              const std::string& name_space = "default");
  // Null: there is none.
  Json get(const std::string& api_version, const std::string& kind, const std::string& name,
           const std::string& name_space = "default") const;
  std::vector<Json> all(const std::string& api_version, const std::string& kind) const;
  uint64_t version() const { return version_; }
  // From now on the server knows this kind; those of kube_types() and Events it knows.
  void install(const std::string& api_version, const std::string& kind, const std::string& plural,
               bool namespaced = true);
  // 404 for the kind, whose objects are gone, as a CRD that is not installed.
  void uninstall(const std::string& api_version, const std::string& kind);
  // Forgets what was before now: a watch or a later page from there is 410 Expired.
  void compact() { compacted_ = version_; }

  // --- Watches that are open: of all, or of targets that contain `fits` ---
  size_t watches(std::string_view fits = {}) const;
  void end_watches(std::string_view fits = {});  // as at the end of timeoutSeconds
  void cut_watches(std::string_view fits = {});  // the connection is closed
  void bookmark(std::string_view fits = {});     // to those that asked for bookmarks
  // Bytes as they are: half a JSON, an event again, events in another order (see event_line()).
  void say(const std::string& bytes, std::string_view fits = {});
  void say_expired(std::string_view fits = {});  // the ERROR event of code 410, then the end
  // While held, watches hear nothing; what happened meanwhile comes at the end.
  void hold_events(bool hold);
  static std::string event_line(const std::string& type, const Json& object) {
    return Json{{"type", type}, {"object", object}}.dump() + "\n";
  }

  // --- Faults ---
  void script(ScriptedStep step) { script_.push_back(std::move(step)); }
  void clear_script() { script_.clear(); }
  // Answers those that stall, in their order.
  void go_on();
  size_t stalled() const { return stalled_.size(); }

  StreamingLists streaming_lists = StreamingLists::kYes;
  std::set<std::string> tokens;                     // those that are let in; empty: everyone
  std::vector<ScriptedRequest> requests;            // all that came
  size_t requests_of(std::string_view fits) const;  // how many of them contain `fits`

  // --- For the fronts ---
  // `reply` lives until it is complete or gone() is called.
  void handle(ScriptedRequest request, ScriptedReply& reply);
  void gone(ScriptedReply& reply);

  static Json status_json(int code, const std::string& reason, const std::string& message,
                          const Json& details = {});

 private:
  struct Kind {
    std::string api_version;
    std::string kind;
    std::string plural;
    bool namespaced = true;
    std::map<std::pair<std::string, std::string>, Json> objects;  // by namespace and name
  };
  struct Change {
    uint64_t version;
    const Kind* kind;
    Json before;  // null: it is new
    Json after;   // null: it is gone
  };
  // What a path names.
  struct Place {
    Kind* kind = nullptr;
    std::string name_space;  // empty: all
    std::string name;        // empty: the collection
    std::string part;        // "status"
  };
  struct Watch {
    ScriptedRequest request;
    Place place;
    ScriptedReply* reply;
    uint64_t told;  // changes up to this version were sent
  };

  Place place_of(const std::string& path);
  const Kind* kind_of(const std::string& api_version, const std::string& kind) const;
  static bool fits(const ScriptedRequest& request, std::string_view part);
  static bool selected(const ScriptedRequest& request, const Place& place, const Json& object);
  bool do_step(const ScriptedRequest& request, ScriptedReply& reply);
  void answer(const ScriptedRequest& request, ScriptedReply& reply);
  void answer_read(const ScriptedRequest& request, const Place& place, ScriptedReply& reply);
  void answer_list(const ScriptedRequest& request, const Place& place, ScriptedReply& reply);
  void answer_watch(const ScriptedRequest& request, const Place& place, ScriptedReply& reply);
  void answer_write(const ScriptedRequest& request, const Place& place, ScriptedReply& reply);
  Json changed(const ScriptedRequest& request, Json stored, const Json& given) const;
  void deliver();
  void deliver_to(Watch& watch);
  Json store(Kind& kind, Json object);
  void erase(Kind& kind, const std::pair<std::string, std::string>& key);
  static void refuse(ScriptedReply& reply, int code, const std::string& reason,
                     const std::string& message, const Json& details = {},
                     const std::string& fields = {});
  template <class Use>
  void each_watch(std::string_view part, Use use);

  std::map<std::string, Kind> kinds_;  // by "/apis/GROUP/V/PLURAL"
  std::vector<Change> history_;
  uint64_t version_ = 1000;
  uint64_t compacted_ = 0;
  uint64_t uids_ = 0;
  bool held_ = false;
  std::vector<Watch> watches_;
  std::deque<ScriptedStep> script_;
  std::vector<std::pair<ScriptedRequest, ScriptedReply*>> stalled_;
};

// Splits the target into path and query. `request` has everything else.
inline ScriptedRequest parse_scripted_request(ScriptedRequest request) {
  const auto decoded = [](std::string_view text) {
    std::string plain;
    for (size_t at = 0; at < text.size(); ++at) {
      if (text[at] == '%' && at + 2 < text.size()) {
        plain += static_cast<char>(std::stoi(std::string(text.substr(at + 1, 2)), nullptr, 16));
        at += 2;
      } else {
        plain += text[at] == '+' ? ' ' : text[at];
      }
    }
    return plain;
  };
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  request.path = decoded(target.substr(0, mark));
  for (size_t at = mark; at < target.size();) {
    const size_t end = std::min(target.find('&', at + 1), target.size());
    const std::string_view pair = target.substr(at + 1, end - at - 1);
    const size_t equals = std::min(pair.find('='), pair.size());
    request.query[decoded(pair.substr(0, equals))] =
        equals < pair.size() ? decoded(pair.substr(equals + 1)) : "";
    at = end;
  }
  return request;
}

inline ScriptedApiServer::ScriptedApiServer() {
  for (const KubeType& type : kube_types()) {
    install(type.api_version(), std::string(type.kind), std::string(type.plural), type.namespaced);
  }
  install("events.k8s.io/v1", "Event", "events");
}

inline void ScriptedApiServer::install(const std::string& api_version, const std::string& kind,
                                       const std::string& plural, bool namespaced) {
  const bool core = api_version.find('/') == std::string::npos;
  kinds_[(core ? "/api/" : "/apis/") + api_version + "/" + plural] =
      Kind{api_version, kind, plural, namespaced, {}};
}

inline void ScriptedApiServer::uninstall(const std::string& api_version, const std::string& kind) {
  const Kind* gone_kind = kind_of(api_version, kind);
  cut_watches(gone_kind->plural);
  std::erase_if(history_, [&](const Change& change) { return change.kind == gone_kind; });
  std::erase_if(kinds_, [&](const auto& entry) {
    return entry.second.api_version == api_version && entry.second.kind == kind;
  });
}

inline const ScriptedApiServer::Kind* ScriptedApiServer::kind_of(const std::string& api_version,
                                                                 const std::string& kind) const {
  for (const auto& [path, known] : kinds_) {
    if (known.api_version == api_version && known.kind == kind) return &known;
  }
  ADD_FAILURE() << "the scripted server knows no " << api_version << " " << kind;
  std::abort();
}

inline nlohmann::json ScriptedApiServer::put(Json object) {
  const Kind* kind = kind_of(object.at("apiVersion"), object.at("kind"));
  Json& meta = object["metadata"];
  if (kind->namespaced && !meta.contains("namespace")) meta["namespace"] = "default";
  Json stored = store(const_cast<Kind&>(*kind), std::move(object));
  deliver();
  return stored;
}

inline void ScriptedApiServer::remove(const std::string& api_version, const std::string& kind,
                                      const std::string& name, const std::string& name_space) {
  const Kind* known = kind_of(api_version, kind);
  erase(const_cast<Kind&>(*known), {known->namespaced ? name_space : "", name});
  deliver();
}

inline nlohmann::json ScriptedApiServer::get(const std::string& api_version,
                                             const std::string& kind, const std::string& name,
                                             const std::string& name_space) const {
  const Kind* known = kind_of(api_version, kind);
  const auto found = known->objects.find({known->namespaced ? name_space : "", name});
  return found == known->objects.end() ? Json() : found->second;
}

inline std::vector<nlohmann::json> ScriptedApiServer::all(const std::string& api_version,
                                                          const std::string& kind) const {
  std::vector<Json> objects;
  for (const auto& [key, object] : kind_of(api_version, kind)->objects) objects.push_back(object);
  return objects;
}

inline nlohmann::json ScriptedApiServer::store(Kind& kind, Json object) {
  Json& meta = object["metadata"];
  Json& stored = kind.objects[{meta.value("namespace", ""), meta.at("name")}];
  meta["uid"] = stored.is_null() ? meta.value("uid", "uid-" + std::to_string(++uids_))
                                 : stored["metadata"]["uid"].get<std::string>();
  if (!meta.contains("creationTimestamp")) meta["creationTimestamp"] = "2026-01-01T00:00:00Z";
  meta["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, &kind, stored, object});
  stored = object;
  return object;
}

inline void ScriptedApiServer::erase(Kind& kind, const std::pair<std::string, std::string>& key) {
  const auto found = kind.objects.find(key);
  if (found == kind.objects.end()) return;
  Json last = found->second;
  kind.objects.erase(found);
  last["metadata"]["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, &kind, std::move(last), Json()});
}

// --- Watches ---------------------------------------------------------------------------------

// Of "METHOD TARGET", as it was sent.
inline bool ScriptedApiServer::fits(const ScriptedRequest& request, std::string_view part) {
  return (request.method + " " + request.target).find(part) != std::string::npos;
}

inline size_t ScriptedApiServer::watches(std::string_view part) const {
  return static_cast<size_t>(
      std::count_if(watches_.begin(), watches_.end(),
                    [&](const Watch& watch) { return fits(watch.request, part); }));
}

inline size_t ScriptedApiServer::requests_of(std::string_view part) const {
  return static_cast<size_t>(
      std::count_if(requests.begin(), requests.end(),
                    [&](const ScriptedRequest& request) { return fits(request, part); }));
}

// What ends a watch may bring another one, so they are picked first.
template <class Use>
void ScriptedApiServer::each_watch(std::string_view part, Use use) {
  std::vector<ScriptedReply*> picked;
  for (const Watch& watch : watches_) {
    if (fits(watch.request, part)) picked.push_back(watch.reply);
  }
  for (ScriptedReply* reply : picked) {
    const auto watch = std::find_if(watches_.begin(), watches_.end(),
                                    [&](const Watch& w) { return w.reply == reply; });
    if (watch != watches_.end()) use(*watch);
  }
}

inline void ScriptedApiServer::end_watches(std::string_view part) {
  each_watch(part, [this](Watch& watch) {
    ScriptedReply* reply = watch.reply;
    gone(*reply);
    reply->finish();
  });
}

inline void ScriptedApiServer::cut_watches(std::string_view part) {
  each_watch(part, [this](Watch& watch) {
    ScriptedReply* reply = watch.reply;
    gone(*reply);
    reply->cut();
  });
}

inline void ScriptedApiServer::say(const std::string& bytes, std::string_view part) {
  each_watch(part, [&](Watch& watch) { watch.reply->write(bytes); });
}

inline void ScriptedApiServer::say_expired(std::string_view part) {
  say(event_line("ERROR", status_json(410, "Expired", "too old resource version: 2 (793)")), part);
  end_watches(part);
}

inline void ScriptedApiServer::bookmark(std::string_view part) {
  each_watch(part, [&](Watch& watch) {
    if (watch.request.value("allowWatchBookmarks").empty()) return;
    watch.reply->write(
        event_line("BOOKMARK", {{"apiVersion", watch.place.kind->api_version},
                                {"kind", watch.place.kind->kind},
                                {"metadata", {{"resourceVersion", std::to_string(version_)}}}}));
  });
}

inline void ScriptedApiServer::hold_events(bool hold) {
  held_ = hold;
  deliver();
}

inline void ScriptedApiServer::deliver() {
  if (held_) return;
  each_watch({}, [this](Watch& watch) { deliver_to(watch); });
}

inline void ScriptedApiServer::deliver_to(Watch& watch) {
  const uint64_t from = std::exchange(watch.told, version_);
  std::string lines;
  for (const Change& change : history_) {
    if (change.version <= from || change.kind != watch.place.kind) continue;
    const bool was =
        !change.before.is_null() && selected(watch.request, watch.place, change.before);
    const bool is = !change.after.is_null() && selected(watch.request, watch.place, change.after);
    if (is) lines += event_line(was ? "MODIFIED" : "ADDED", change.after);
    if (was && !is) {
      Json last = change.before;
      last["metadata"]["resourceVersion"] = std::to_string(change.version);
      lines += event_line("DELETED", last);
    }
  }
  if (!lines.empty()) watch.reply->write(lines);
}

// Of label selectors "a=b", "a==b", "a!=b", "a", "!a" and "a in (b,c)"; of field selectors those of
// metadata.name and metadata.namespace.
inline bool ScriptedApiServer::selected(const ScriptedRequest& request, const Place& place,
                                        const Json& object) {
  const Json& meta = object.at("metadata");
  if (!place.name_space.empty() && meta.value("namespace", "") != place.name_space) return false;
  if (!place.name.empty() && meta.at("name") != place.name) return false;
  const Json labels = meta.value("labels", Json::object());
  const auto holds = [&](const std::string& term, const Json& fields) {
    const size_t in = term.find(" in (");
    if (in != std::string::npos) {
      const std::string value = "," + fields.value(term.substr(0, in), std::string("\n")) + ",";
      const std::string values = "," + term.substr(in + 5, term.size() - in - 6) + ",";
      return values.find(value) != std::string::npos;
    }
    const size_t equals = term.find('=');
    if (equals == std::string::npos) {
      return term[0] == '!' ? !fields.contains(term.substr(1)) : fields.contains(term);
    }
    const bool differs = equals > 0 && term[equals - 1] == '!';
    const std::string key = term.substr(0, differs ? equals - 1 : equals);
    const std::string value = term.substr(term.find_last_of('=') + 1);
    return (fields.value(key, std::string("\n")) == value) != differs;
  };
  const auto all_hold = [&](const std::string& selector, const Json& fields) {
    size_t begin = 0;
    int depth = 0;
    for (size_t at = 0; at <= selector.size(); ++at) {
      if (at < selector.size() && selector[at] == '(') ++depth;
      if (at < selector.size() && selector[at] == ')') --depth;
      if (at < selector.size() && (selector[at] != ',' || depth > 0)) continue;
      const std::string term = selector.substr(begin, at - begin);
      if (!term.empty() && !holds(term, fields)) return false;
      begin = at + 1;
    }
    return true;
  };
  return all_hold(request.value("labelSelector"), labels) &&
         all_hold(request.value("fieldSelector"),
                  {{"metadata.name", meta.at("name")},
                   {"metadata.namespace", meta.value("namespace", "")}});
}

// --- Requests --------------------------------------------------------------------------------

inline nlohmann::json ScriptedApiServer::status_json(int code, const std::string& reason,
                                                     const std::string& message,
                                                     const Json& details) {
  Json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
                 {"status", "Failure"}, {"message", message}, {"reason", reason},
                 {"code", code}};
  if (!details.is_null()) status["details"] = details;
  return status;
}

inline void ScriptedApiServer::refuse(ScriptedReply& reply, int code, const std::string& reason,
                                      const std::string& message, const Json& details,
                                      const std::string& fields) {
  reply.respond(code, fields, status_json(code, reason, message, details).dump());
}

inline void ScriptedApiServer::gone(ScriptedReply& reply) {
  std::erase_if(watches_, [&](const Watch& watch) { return watch.reply == &reply; });
  std::erase_if(stalled_, [&](const auto& entry) { return entry.second == &reply; });
}

inline void ScriptedApiServer::handle(ScriptedRequest request, ScriptedReply& reply) {
  request = parse_scripted_request(std::move(request));
  requests.push_back(request);
  if (!do_step(request, reply)) answer(request, reply);
}

inline void ScriptedApiServer::go_on() {
  const auto waiting = std::exchange(stalled_, {});
  for (const auto& [request, reply] : waiting) answer(request, *reply);
}

// The right answer, cut in the middle.
class HalvedReply final : public ScriptedReply {
 public:
  explicit HalvedReply(ScriptedReply& reply) : reply_(reply) {}
  void respond(int status, const std::string&, const std::string& body) override {
    reply_.start(status);
    reply_.write(body.substr(0, body.size() / 2));
    reply_.cut();
  }
  void start(int status) override { reply_.start(status); }
  void write(const std::string& bytes) override { reply_.write(bytes.substr(0, bytes.size() / 2)); }
  void finish() override { reply_.cut(); }
  void cut() override { reply_.cut(); }

 private:
  ScriptedReply& reply_;
};

// False: there is none for this request.
inline bool ScriptedApiServer::do_step(const ScriptedRequest& request, ScriptedReply& reply) {
  const auto found = std::find_if(script_.begin(), script_.end(), [&](const ScriptedStep& step) {
    return fits(request, step.fits);
  });
  if (found == script_.end()) return false;
  const ScriptedStep step = *found;
  if (--found->times == 0) script_.erase(found);
  switch (step.what) {
    case ScriptedStep::Do::kStatus:
      if (!step.body.empty()) {
        reply.respond(step.code, step.fields, step.body);
      } else {
        refuse(reply, step.code, step.reason, step.message, step.details, step.fields);
      }
      break;
    case ScriptedStep::Do::kStall:
      stalled_.emplace_back(request, &reply);
      break;
    case ScriptedStep::Do::kCut:
      reply.cut();
      break;
    case ScriptedStep::Do::kHalf: {
      HalvedReply halved(reply);
      answer(request, halved);
      const bool streams = !watches_.empty() && watches_.back().reply == &halved;
      gone(halved);
      if (streams) reply.cut();
      break;
    }
    case ScriptedStep::Do::kBody:
      reply.respond(200, step.fields, step.body);
      break;
  }
  return true;
}

inline ScriptedApiServer::Place ScriptedApiServer::place_of(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at + 1), path.size());
    parts.push_back(path.substr(at + 1, end - at - 1));
    at = end;
  }
  Place place;
  size_t at = parts.empty() ? 0 : parts[0] == "api" ? 2 : 3;
  if (at == 0 || parts.size() <= at) return place;
  std::string root;
  for (size_t part = 0; part < at; ++part) root += "/" + parts[part];
  if (parts[at] == "namespaces" && parts.size() > at + 2) {
    place.name_space = parts[at + 1];
    at += 2;
  }
  const auto kind = kinds_.find(root + "/" + parts[at]);
  if (kind == kinds_.end()) return place;
  place.kind = &kind->second;
  if (parts.size() > at + 1) place.name = parts[at + 1];
  if (parts.size() > at + 2) place.part = parts[at + 2];
  return place;
}

inline void ScriptedApiServer::answer(const ScriptedRequest& request, ScriptedReply& reply) {
  const std::string& bearer = request.authorization;
  if (!tokens.empty() && (bearer.rfind("Bearer ", 0) != 0 || tokens.count(bearer.substr(7)) == 0)) {
    return refuse(reply, 401, "Unauthorized", "Unauthorized");
  }
  const Place place = place_of(request.path);
  if (place.kind == nullptr) {
    return refuse(reply, 404, "NotFound", "the server could not find the requested resource");
  }
  if (request.method != "GET") return answer_write(request, place, reply);
  if (request.is_watch()) return answer_watch(request, place, reply);
  place.name.empty() ? answer_list(request, place, reply) : answer_read(request, place, reply);
}

inline void ScriptedApiServer::answer_read(const ScriptedRequest&, const Place& place,
                                           ScriptedReply& reply) {
  const auto found = place.kind->objects.find({place.name_space, place.name});
  if (found != place.kind->objects.end()) return reply.respond(200, "", found->second.dump());
  refuse(reply, 404, "NotFound", place.kind->plural + " \"" + place.name + "\" not found");
}

// A continue token is "VERSION:INDEX".
inline void ScriptedApiServer::answer_list(const ScriptedRequest& request, const Place& place,
                                           ScriptedReply& reply) {
  const std::string token = request.value("continue");
  const std::string wanted = request.value("resourceVersion");
  if (token.empty() && !wanted.empty() && std::stoull(wanted) > version_) {
    return refuse(
        reply, 504, "Timeout", "Too large resource version: " + wanted,
        {{"causes", {{{"reason", "ResourceVersionTooLarge"}}}}, {"retryAfterSeconds", 1}});
  }
  const uint64_t version = token.empty() ? version_ : std::stoull(token);
  if (!token.empty() && version < compacted_) {
    Json status = status_json(410, "Expired", "The provided continue parameter is too old");
    status["metadata"]["continue"] = std::to_string(version_) + token.substr(token.find(':'));
    return reply.respond(410, "", status.dump());
  }
  const size_t begin = token.empty() ? 0 : std::stoull(token.substr(token.find(':') + 1));
  const size_t limit = request.value("limit").empty() ? 0 : std::stoull(request.value("limit"));
  Json list = {{"kind", place.kind->kind + "List"},
               {"apiVersion", place.kind->api_version},
               {"metadata", {{"resourceVersion", std::to_string(version)}}},
               {"items", Json::array()}};
  size_t index = 0;
  for (const auto& [key, object] : place.kind->objects) {
    if (!selected(request, place, object) || index++ < begin) continue;
    if (limit > 0 && list["items"].size() == limit) {
      list["metadata"]["continue"] = std::to_string(version) + ":" + std::to_string(begin + limit);
      break;
    }
    Json item = object;
    item.erase("apiVersion");
    item.erase("kind");
    list["items"].push_back(std::move(item));
  }
  reply.respond(200, "", list.dump());
}

inline void ScriptedApiServer::answer_watch(const ScriptedRequest& request, const Place& place,
                                            ScriptedReply& reply) {
  const std::string from = request.value("resourceVersion");
  const bool from_any = from.empty() || from == "0";
  const bool initial = request.value("sendInitialEvents") == "true";
  if (initial && streaming_lists == StreamingLists::kInvalid) {
    return refuse(reply, 422, "Invalid",
                  "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
                  "sendInitialEvents is forbidden for watch unless the WatchList feature gate is "
                  "enabled");
  }
  reply.start(200);
  const bool unable = initial && streaming_lists == StreamingLists::kErrorEvent;
  const bool expired = !initial && !from_any && std::stoull(from) < compacted_;
  if (unable || expired) {
    reply.write(event_line(
        "ERROR", unable ? status_json(500, "InternalError",
                                      "the storage feature RequestWatchProgress is disabled")
                        : status_json(410, "Expired", "too old resource version: " + from)));
    return reply.finish();
  }
  std::string lines;
  for (const auto& [key, object] : place.kind->objects) {
    if ((initial || from_any) && selected(request, place, object)) {
      lines += event_line("ADDED", object);
    }
  }
  if (initial && streaming_lists != StreamingLists::kUnknown) {
    lines += event_line("BOOKMARK", {{"apiVersion", place.kind->api_version},
                                     {"kind", place.kind->kind},
                                     {"metadata",
                                      {{"resourceVersion", std::to_string(version_)},
                                       {"annotations", {{"k8s.io/initial-events-end", "true"}}}}}});
  }
  if (!lines.empty()) reply.write(lines);
  watches_.push_back({request, place, &reply, initial || from_any ? version_ : std::stoull(from)});
  if (!held_) deliver_to(watches_.back());
}

inline void ScriptedApiServer::answer_write(const ScriptedRequest& request, const Place& place,
                                            ScriptedReply& reply) {
  Kind& kind = *place.kind;
  Json given = Json::parse(request.body, nullptr, false);
  if (given.is_discarded()) given = Json::object();
  const bool creates = request.method == "POST";
  const bool applies = request.content_type == "application/apply-patch+yaml";
  const Json given_meta = given.value("metadata", Json::object());
  const std::string name = creates ? given_meta.value("name", "") : place.name;
  if (name.empty()) return refuse(reply, 422, "Invalid", "name is required");
  const std::pair<std::string, std::string> key{place.name_space, name};
  const auto found = kind.objects.find(key);
  const std::string called = kind.plural + " \"" + name + "\"";
  if (creates && found != kind.objects.end()) {
    return refuse(reply, 409, "AlreadyExists", called + " already exists");
  }
  if (!creates && !applies && found == kind.objects.end()) {
    return refuse(reply, 404, "NotFound", called + " not found");
  }
  const Json stored = found == kind.objects.end() ? Json() : found->second;
  const std::string locked = given_meta.value("resourceVersion", "");
  if (!stored.is_null() && !locked.empty() && stored["metadata"]["resourceVersion"] != locked) {
    return refuse(reply, 409, "Conflict",
                  "Operation cannot be fulfilled on " + called +
                      ": the object has been modified; please apply your changes to the latest "
                      "version and try again");
  }
  if (request.method == "DELETE") {
    erase(kind, key);
    reply.respond(200, "", stored.dump());
    return deliver();
  }
  Json object = changed(request, stored, given);
  object["apiVersion"] = kind.api_version;
  object["kind"] = kind.kind;
  object["metadata"]["name"] = name;
  if (kind.namespaced) object["metadata"]["namespace"] = place.name_space;
  const Json result = store(kind, std::move(object));
  reply.respond(stored.is_null() ? 201 : 200, "", result.dump());
  deliver();
}

// A PATCH, an apply too, is merged as RFC 7386 has it.
inline nlohmann::json ScriptedApiServer::changed(const ScriptedRequest& request, Json stored,
                                                 const Json& given) const {
  if (request.method != "PATCH") return given;
  if (stored.is_null()) stored = Json::object();
  stored.merge_patch(given);
  return stored;
}

}  // namespace kvasir
