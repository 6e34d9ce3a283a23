// Cross-origin requests of browsers, by the CORS filter of a HTTPRoute or by flags: which origins
// may read answers, and with which fields they are told. Source: the Gateway API's HTTPCORSFilter
// (v1.5), and the Fetch standard, which says what browsers make of the fields.
//
// What a backend says of origins itself is dropped: two answers to one question are none. Any
// method and any header field that a rule allows by "*" is named to the browser as it asked for it,
// since "*" would not mean Authorization.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/http_head.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

class CorsPolicy {
 public:
  // Its origins are such (is_cors_origin()).
  explicit CorsPolicy(const HTTPRoute::Cors& cors);

  // Whether pages of that origin may read answers. `origin`: as the browser writes it.
  bool allows(std::string_view origin) const;

  // The field lines of the answer to a preflight request, whose origin allows() takes.
  std::string preflight_fields(const HttpHead& request) const;

  // The field lines of an answer, from those that it would have without this. `origin`: of the
  // request; empty: it has none.
  std::string answer_fields(std::string_view origin, std::string_view fields) const;

 private:
  struct Origin {
    std::string scheme;
    std::string host;     // lower case; of kAny what it ends with
    bool is_end = false;  // "*" and the end of hosts
    uint16_t port = 0;
  };
  static std::optional<Origin> parse(std::string_view text);
  std::string own_fields(std::string_view origin) const;

  bool any_origin_ = false;
  std::vector<Origin> origins_;
  bool credentials_ = false;
  bool any_method_ = false, any_header_ = false, any_exposed_ = false;
  std::string methods_, headers_;  // each with its name, a whole line; empty: not said
  std::string exposed_;            // the names; empty: those that answers of the gateway carry
  std::string max_age_;            // a whole line
};

// An OPTIONS request by which a browser asks whether it may send another one.
bool is_preflight(const HttpHead& request);

}  // namespace kvasir
