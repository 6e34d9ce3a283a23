// The kinds of the Gateway API that Kvasir reads, each with the fields that it uses. Source: the
// Gateway API, v1 (its standard channel as of v1.5), whose limits and defaults the reader has.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/label_requirement.h"
#include "wire/kube/kube_objects.h"

namespace kvasir {

inline constexpr std::string_view kGatewayGroup = "gateway.networking.k8s.io";

// Its labels are what is read of it.
struct Namespace final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kNamespace;
};

struct GatewayClass final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kGatewayClass;
  std::string controller;  // spec.controllerName
};

// Names an object of some kind, in the namespace of whoever refers to it unless it says another.
struct ObjectRef {
  std::string group;
  std::string kind;
  std::string name_space;  // empty: the referrer's
  std::string name;

  bool operator==(const ObjectRef&) const = default;
};

struct KubeSelector {
  std::map<std::string, std::string> labels;   // all must hold
  std::vector<LabelRequirement> requirements;  // and all of these

  bool selects(const std::map<std::string, std::string>& of) const;
};

struct KubeGateway final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kGateway;
  struct Listener {
    enum class From : uint8_t { kSame, kAll, kSelector, kNone };
    struct RouteKind {
      std::string group;
      std::string kind;
    };
    std::string name;
    std::string hostname;  // lower case; empty: all
    uint16_t port = 0;
    std::string protocol;  // HTTP, HTTPS; others are known by name only
    bool has_tls = false;
    bool terminates_tls = true;  // mode
    std::vector<ObjectRef> certificates;
    From from = From::kSame;
    KubeSelector namespaces;             // of kSelector
    std::vector<RouteKind> route_kinds;  // empty: those that fit the protocol
  };
  std::string class_name;
  std::vector<Listener> listeners;
};

// A change of header fields. Names as they are written; they are compared without case.
struct HeaderModifier {
  struct Field {
    std::string name;
    std::string value;
  };
  std::vector<Field> set;
  std::vector<Field> add;
  std::vector<std::string> remove;
};

struct PathModifier {
  enum class Kind : uint8_t { kReplaceFullPath, kReplacePrefixMatch };
  Kind kind = Kind::kReplaceFullPath;
  std::string value;
};

struct HTTPRoute final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kHTTPRoute;

  struct ParentRef {
    ObjectRef to;
    std::string section;           // a listener's name; empty: all
    std::optional<uint16_t> port;  // a listener's
  };
  enum class PathKind : uint8_t { kExact, kPrefix, kRegex };
  struct Pair {
    std::string name;
    std::string value;
    bool regex = false;
  };
  struct Match {
    PathKind path_kind = PathKind::kPrefix;
    std::string path = "/";
    std::vector<Pair> headers;
    std::vector<Pair> query;
    std::string method;  // empty: any
  };

  struct BackendRef {
    ObjectRef to;
    std::optional<uint16_t> port;
  };
  struct Mirror {
    BackendRef to;
    // Of so many requests, so many are mirrored.
    int32_t numerator = 1;
    int32_t denominator = 1;
  };
  struct Redirect {
    std::string scheme;    // empty: the request's
    std::string hostname;  // empty: the request's
    std::optional<PathModifier> path;
    std::optional<uint16_t> port;
    int status = 302;
  };
  struct Rewrite {
    std::string hostname;  // empty: it stays
    std::optional<PathModifier> path;
  };
  struct Cors {
    std::vector<std::string> origins;
    bool credentials = false;
    std::vector<std::string> methods;
    std::vector<std::string> headers;
    std::vector<std::string> exposed;
    int32_t max_age_seconds = 5;
  };
  struct Filters {
    std::optional<HeaderModifier> request_headers;
    std::optional<HeaderModifier> response_headers;
    std::vector<Mirror> mirrors;
    std::optional<Redirect> redirect;
    std::optional<Rewrite> rewrite;
    std::optional<Cors> cors;
    std::vector<ObjectRef> extensions;
    std::vector<std::string> unknown;  // types that nobody here knows
  };
  struct Backend {
    BackendRef ref;
    int32_t weight = 1;
    Filters filters;
  };
  struct Retry {
    std::vector<int> codes;
    std::optional<int32_t> attempts;
    std::optional<Duration> backoff;
  };
  struct Rule {
    std::string name;
    std::vector<Match> matches;  // one at least
    Filters filters;
    std::vector<Backend> backends;
    std::optional<Duration> request_timeout;  // zero: none
    std::optional<Duration> backend_timeout;  // zero: none
    std::optional<Retry> retry;
  };

  std::vector<ParentRef> parents;
  std::vector<std::string> hostnames;  // lower case
  std::vector<Rule> rules;
};

struct ReferenceGrant final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kReferenceGrant;
  struct From {
    std::string group;
    std::string kind;
    std::string name_space;
  };
  struct To {
    std::string group;
    std::string kind;
    std::string name;  // empty: all of that kind
  };
  std::vector<From> from;
  std::vector<To> to;
};

// "1h30m", "500ms": a duration as GEP-2257 has it; nullopt: it is none.
std::optional<Duration> gateway_duration(std::string_view text);

// What the API takes as an origin of a CORS filter: "*", or SCHEME://HOST[:PORT] with http or https
// and a host that may begin with "*.", or be "*".
bool is_cors_origin(std::string_view text);

}  // namespace kvasir
