// What the readers of the Gateway API's kinds share. Private to wire/.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "wire/kube/kube_gateway_objects.h"
#include "wire/kube/kube_object_reader.h"

namespace kvasir {

inline constexpr int64_t kKubePortMost = 65535;
inline constexpr size_t kFieldNameBytesMost = 256;

enum class Wildcard : uint8_t { kAllowed, kForbidden };

// Notes that a list is longer.
void check_size(const KubeField& list, size_t most);
// Empty: absent.
std::string read_hostname(const KubeField& field, Wildcard wildcard);
// The name of a header field, which must be there.
std::string read_field_name(const KubeField& field);
// `defaults`: of group and kind.
ObjectRef read_object_ref(const KubeField& field, const ObjectRef& defaults);

// One of the texts; `otherwise` when it is absent or another one, which is noted.
template <class T, size_t N>
T read_choice(const KubeField& field, const std::pair<std::string_view, T> (&choices)[N],
              T otherwise) {
  const auto text = field.text();
  if (!text) return otherwise;
  std::string known;
  for (const auto& [name, value] : choices) {
    if (*text == name) return value;
    known.append(known.empty() ? "" : ", ").append(name);
  }
  field.problem("must be one of " + known);
  return otherwise;
}

}  // namespace kvasir
