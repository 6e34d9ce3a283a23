// YAML text, and so JSON text too, as a tree of values that know their lines.
//
// Scalars follow the core rules of YAML 1.2: true/false, whole and real numbers, null; "5s", yes,
// on and everything in quotes are texts, and so is what !!binary has in base64. "<<" brings the
// entries of a map, or of a list of maps, into the one where it stands; those written there, and of
// two merged ones the first, win. Refused, each with its line: a key that stands twice in
// one map, numbers that are not finite or do not fit 64 bits, keys that are not scalars, unknown
// tags, and text that grows beyond the limits below. Anchors and aliases work within a document;
// each use of an alias counts as the values it stands for.
#pragma once

#include <cstddef>
#include <string_view>
#include <variant>
#include <vector>

#include "base/remark.h"
#include "base/value.h"

namespace kvasir {

inline constexpr size_t kYamlBytesMost = 1024 * 1024;  // what a Kubernetes ConfigMap may hold
inline constexpr size_t kYamlDepthMost = 64;
inline constexpr size_t kYamlValuesMost =
    20'000;  // aliases expanded; a fleet's configuration has hundreds

struct YamlLimits {
  size_t bytes = kYamlBytesMost;
  size_t values = kYamlValuesMost;
};

// The document, or the first problem; a second document is one. An empty text is a null value.
// `lines_before` is added to every line: where a text stands inside another file.
std::variant<Value, Remark> parse_yaml(std::string_view text, int lines_before = 0,
                                       const YamlLimits& limits = {});

// All documents but empty ones, or the first problem of any. As kubectl reads them: yes, no, on,
// off, y and n without quotes are booleans.
std::variant<std::vector<Value>, Remark> parse_yaml_documents(std::string_view text,
                                                              const YamlLimits& limits = {});

}  // namespace kvasir
