#include "routes/cors.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "net/http/proxy_head.h"
#include "routes/header_changes.h"

namespace kvasir {
namespace {

constexpr std::string_view kAny = "*";
constexpr std::string_view kAllowOrigin = "Access-Control-Allow-Origin";
constexpr std::string_view kAllowMethods = "Access-Control-Allow-Methods";
constexpr std::string_view kAllowHeaders = "Access-Control-Allow-Headers";
constexpr std::string_view kExposeHeaders = "Access-Control-Expose-Headers";
constexpr std::string_view kRequestMethod = "Access-Control-Request-Method";
constexpr std::string_view kRequestHeaders = "Access-Control-Request-Headers";
constexpr std::string_view kVaryOrigin = "Vary: Origin\r\n";
constexpr std::string_view kVaryAsked =
    "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n";
// Of answers that pass here, beyond those that browsers show pages anyway.
constexpr std::string_view kOwnFields =
    "x-request-id, x-selected-pod, x-kvasir-route, x-scheduling-time-ms, x-cache-prefix-length, "
    "x-cache-knowledge, x-prefill-pod, x-decode-pod, x-prefill-time-ms, x-decode-time-ms, "
    "x-total-time-ms, x-tokens-generated, x-llm-d-request-dropped-reason, Server-Timing, "
    "Retry-After";

// Of a method, and of a list of field names.
constexpr ByteSet kAskedBytes = letters_digits_and("!#$%&'*+-.^_`|~, ");

bool holds_any(const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), kAny) != names.end();
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

std::string line(std::string_view name, std::string_view value) {
  std::string text;
  if (!value.empty()) append_field(text, name, value);
  return text;
}

// What the browser asks for, as its answer.
std::string asked(const HttpHead& request, std::string_view of, std::string_view name) {
  const std::string_view value = request.find(of).value_or("");
  return consists_of(value, kAskedBytes) ? line(name, value) : "";
}

bool is_about_origins(std::string_view name) {
  constexpr std::string_view kPrefix = "access-control-";
  return equal_ignoring_case(name.substr(0, kPrefix.size()), kPrefix);
}

// The names of all fields in these lines, each once.
std::string names_of(std::string_view fields) {
  std::vector<std::string> names;
  fields_without(fields, [&](std::string_view name) {
    std::string lower = lower_case(name);
    if (std::find(names.begin(), names.end(), lower) == names.end()) {
      names.push_back(std::move(lower));
    }
    return true;
  });
  return joined(names);
}

}  // namespace

bool is_preflight(const HttpHead& request) {
  return request.method() == "OPTIONS" && request.find("Origin") && request.find(kRequestMethod);
}

CorsPolicy::CorsPolicy(const HTTPRoute::Cors& cors)
    : any_origin_(holds_any(cors.origins)),
      credentials_(cors.credentials),
      any_method_(holds_any(cors.methods)),
      any_header_(holds_any(cors.headers)),
      any_exposed_(holds_any(cors.exposed)),
      methods_(line(kAllowMethods, joined(cors.methods))),
      headers_(line(kAllowHeaders, joined(cors.headers))),
      exposed_(joined(cors.exposed)),
      max_age_(line("Access-Control-Max-Age", std::to_string(cors.max_age_seconds))) {
  for (const std::string& text : cors.origins) {
    if (auto origin = parse(text)) origins_.push_back(std::move(*origin));
  }
}

// nullopt: not SCHEME://HOST[:PORT].
std::optional<CorsPolicy::Origin> CorsPolicy::parse(std::string_view text) {
  Origin origin;
  const size_t colon = text.find("://");
  if (colon == text.npos) return std::nullopt;
  origin.scheme = lower_case(text.substr(0, colon));
  origin.port = origin.scheme == "https" ? 443 : 80;
  std::string_view host = text.substr(colon + 3);
  const size_t last = host.rfind(':');
  if (last != host.npos && host.find(']', last) == host.npos) {
    const std::string_view digits = host.substr(last + 1);
    const char* const end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, origin.port) !=
        std::from_chars_result{end, std::errc()}) {
      return std::nullopt;
    }
    host = host.substr(0, last);
  }
  origin.is_end = host.substr(0, 1) == kAny;
  if (origin.is_end) host.remove_prefix(1);
  origin.host = lower_case(host);
  return origin;
}

bool CorsPolicy::allows(std::string_view text) const {
  if (any_origin_) return true;
  const std::optional<Origin> asking = parse(text);
  if (!asking || asking->is_end) return false;
  return std::any_of(origins_.begin(), origins_.end(), [&](const Origin& known) {
    if (known.scheme != asking->scheme || known.port != asking->port) return false;
    if (!known.is_end) return known.host == asking->host;
    return asking->host.size() > known.host.size() &&
           std::string_view(asking->host).substr(asking->host.size() - known.host.size()) ==
               known.host;
  });
}

std::string CorsPolicy::own_fields(std::string_view origin) const {
  std::string fields = line(kAllowOrigin, any_origin_ && !credentials_ ? kAny : origin);
  if (credentials_) fields += "Access-Control-Allow-Credentials: true\r\n";
  return fields;
}

std::string CorsPolicy::preflight_fields(const HttpHead& request) const {
  std::string fields = own_fields(request.find("Origin").value_or(""));
  fields += any_method_ ? asked(request, kRequestMethod, kAllowMethods) : methods_;
  fields += any_header_ ? asked(request, kRequestHeaders, kAllowHeaders) : headers_;
  if (!any_exposed_) fields += line(kExposeHeaders, exposed_);
  return fields.append(max_age_).append(kVaryAsked);
}

std::string CorsPolicy::answer_fields(std::string_view origin, std::string_view fields) const {
  std::string said = fields_without(fields, is_about_origins);
  const bool reads = !origin.empty() && allows(origin);
  if (reads && any_exposed_) {
    said += line(kExposeHeaders, credentials_ ? names_of(said) : std::string(kAny));
  } else if (reads) {
    said += line(kExposeHeaders, exposed_.empty() ? kOwnFields : std::string_view(exposed_));
  }
  if (reads) said += own_fields(origin);
  // Who keeps the answer must not give it to a page of another origin.
  if (!any_origin_ || credentials_) said += kVaryOrigin;
  return said;
}

}  // namespace kvasir
