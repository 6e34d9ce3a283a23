// `kvasir kube get`: what Kvasir reads from an API server, one object a line.
#pragma once

#include <string>

#include "wire/kube/kube_objects.h"

namespace CLI {
class App;
}

namespace kvasir {

// "default/vllm-0  ready=true ip=10.1.2.3 phase=Running": the fields that Kvasir uses. Of a Secret
// the names of its entries, never what they hold.
std::string object_line(const KubeObject& object);

// The type that somebody calls "pods", "Pod", "pod", "inferenceobjectives.llm-d.ai"; null: there is
// none.
const KubeType* find_type_by_word(const std::string& word);

// Adds `kvasir kube get`.
void add_kube_get_command(CLI::App& kube, int& exit_code);

}  // namespace kvasir
