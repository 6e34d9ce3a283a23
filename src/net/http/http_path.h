// The normal form of a request target, so that every program on a request's way reads the same
// path: the one that decides how it is routed, and the one that serves it.
//
// Engines decode percent escapes before they look the path up, and proxies in front of them merge
// slashes and remove dot segments. A rule that looks at the path as the client spelled it is
// bypassed by another spelling.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct NormalTarget {
  std::string target;     // in origin form: path and query. "*" stays.
  std::string authority;  // HOST[:PORT] of an absolute-form target, which replaces the Host field;
                          // else empty
  // The path holds "%2F", which some programs read as a slash and others as a part of a name. Where
  // that makes a difference the request is to be refused.
  bool encoded_slash = false;
};

// Whether the target is in normal form already: the answer for nearly all, and cheap.
bool is_normal_target(std::string_view target);

// - the scheme and authority of http://HOST/PATH, and a fragment, are taken off;
// - escapes of letters, digits and "-._~" are decoded, others get upper-case digits;
// - several slashes in a row become one, "." and ".." segments are resolved;
// - the query and the case of the path stay as they are.
// Errors, because two programs may read it differently: escapes that are cut or not hexadecimal, of
// control bytes or of "\"; a bare "\"; ".." above the root; an authority that is empty, or has a
// user or odd bytes; any other form.
Result<NormalTarget> normal_target(std::string_view target);

// HOST[:PORT] as the Host field and an absolute-form target may have it.
bool is_valid_authority(std::string_view authority);

}  // namespace kvasir
