// The kinds of the inference extension: pools, objectives, rewrites.
#include <algorithm>
#include <limits>

#include "wire/kube/kube_names.h"
#include "wire/kube/kube_object_reader.h"

namespace kvasir {
namespace {

constexpr int64_t kPoolPortMost = 65535;
constexpr size_t kPoolPortsMost = 8;
constexpr size_t kPoolLabelsMost = 64;
constexpr int64_t kWeightMost = 1'000'000;
constexpr size_t kRequirementValuesMost = 1024;
// Where the tutorials' HTTPRoute sends what is for their pool, which names no port itself.
constexpr uint16_t kTutorialPoolPort = 8000;

std::optional<uint16_t> read_port(const KubeField& port) {
  const auto number = port.required_whole_number(1, kPoolPortMost);
  return number ? std::optional<uint16_t>(static_cast<uint16_t>(*number)) : std::nullopt;
}

void read_match_labels(const KubeField& field, bool required, InferencePool& pool) {
  pool.selector = field.texts();
  if (!field.present()) {
    if (required) field.missing();
    return;
  }
  if (required && pool.selector.empty()) field.problem("must have a label");
  if (pool.selector.size() > kPoolLabelsMost) {
    field.problem("must have " + std::to_string(kPoolLabelsMost) + " labels at most");
  }
  for (const auto& [key, value] : pool.selector) {
    if (!is_label_value(value)) {
      field.problem("the value of '" + key.substr(0, 64) + "' is no label");
    }
  }
}

void read_target_ports(const KubeField& ports, InferencePool& pool) {
  ports.for_each([&](const KubeField& port) {
    const KubeField number = port["number"];
    const std::optional<uint16_t> read = read_port(number);
    if (!read) return;
    const auto& known = pool.target_ports;
    if (std::find(known.begin(), known.end(), *read) != known.end()) {
      return number.problem("is there already: ports must differ");
    }
    if (pool.target_ports.size() < kPoolPortsMost) pool.target_ports.push_back(*read);
  });
  if (ports.size() > kPoolPortsMost) {
    ports.problem("must have " + std::to_string(kPoolPortsMost) + " ports at most");
  } else if (ports.is_empty_list()) {
    ports.problem("must have a port");
  }
}

void read_app_protocol(const KubeField& field, InferencePool& pool) {
  pool.app_protocol = field.text().value_or("http");
  if (pool.app_protocol != "http" && pool.app_protocol != "kubernetes.io/h2c") {
    field.problem("must be http or kubernetes.io/h2c");
  }
}

InferencePool::PickerRef read_picker(const KubeField& field) {
  InferencePool::PickerRef picker;
  picker.group = field["group"].text().value_or("");
  picker.kind = field["kind"].text().value_or("Service");
  picker.name = field["name"].required_text();
  const KubeField mode = field["failureMode"];
  const std::string_view failure_mode = mode.text().value_or("FailClose");
  picker.fail_open = failure_mode == "FailOpen";
  if (!picker.fail_open && failure_mode != "FailClose") {
    mode.problem("must be FailOpen or FailClose");
  }
  return picker;
}

void read_picker_ref(const KubeField& field, InferencePool& pool) {
  if (!field.present()) return;
  pool.picker = read_picker(field);
  const KubeField port = field["port"];
  if (port.present()) {
    pool.picker->port = read_port(port["number"]);
  } else if (pool.picker->kind == "Service") {
    port.problem("missing: a Service needs one");
  }
}

void read_pool_v1(const KubeField& spec, InferencePool& pool) {
  const KubeField selector = spec["selector"];
  if (!selector.present()) selector.missing();
  read_match_labels(selector["matchLabels"], true, pool);
  const KubeField ports = spec["targetPorts"];
  if (!ports.present()) ports.missing();
  read_target_ports(ports, pool);
  read_app_protocol(spec["appProtocol"], pool);
  read_picker_ref(spec["endpointPickerRef"], pool);
}

// inference.networking.x-k8s.io/v1alpha2: the selector is the map itself.
void read_pool_v1alpha2(const KubeField& spec, InferencePool& pool) {
  const KubeField selector = spec["selector"];
  if (!selector.present()) selector.missing();
  read_match_labels(selector, false, pool);
  if (const auto port = read_port(spec["targetPortNumber"])) pool.target_ports = {*port};
  const KubeField extension = spec["extensionRef"];
  if (!extension.present()) return extension.missing();
  pool.picker = read_picker(extension);
  const KubeField port = extension["portNumber"];
  constexpr uint16_t kInferredPort = 9002;  // by the CRD, of a Service
  if (port.present()) {
    pool.picker->port = read_port(port);
  } else if (pool.picker->kind == "Service") {
    pool.picker->port = kInferredPort;
  }
}

void read_requirement(const KubeField& field, std::vector<LabelRequirement>& requirements) {
  using Operator = LabelRequirement::Operator;
  LabelRequirement requirement;
  requirement.key = field["key"].required_text();
  const KubeField op = field["operator"];
  const std::string_view name = op.required_text();
  const KubeField values = field["values"];
  values.for_each([&](const KubeField& value) {
    if (requirement.values.size() >= kRequirementValuesMost) {
      return values.problem("too many: " + std::to_string(kRequirementValuesMost) + " at most");
    }
    if (const auto text = value.text()) requirement.values.emplace_back(*text);
  });
  if (name == "In" || name == "NotIn") {
    requirement.op = name == "In" ? Operator::kIn : Operator::kNotIn;
    if (requirement.values.empty()) values.problem(std::string(name) + " needs a value");
  } else if (name == "Exists" || name == "DoesNotExist") {
    requirement.op = name == "Exists" ? Operator::kExists : Operator::kDoesNotExist;
    if (!requirement.values.empty()) values.problem(std::string(name) + " takes no values");
  } else if (op.is_text()) {
    op.problem("must be In, NotIn, Exists or DoesNotExist");
  }
  requirements.push_back(std::move(requirement));
}

}  // namespace

void read_label_selector(const KubeField& field, KubeSelector& selector) {
  const KubeField labels = field["matchLabels"];
  selector.labels = labels.texts();
  const KubeField expressions = field["matchExpressions"];
  expressions.for_each([&](const KubeField& one) { read_requirement(one, selector.requirements); });
}

namespace {

// serving.kserve.io/v1alpha1, the tutorials' own kind: the selector that other kinds of Kubernetes
// have, no port and no picker. Where these are written as v1 writes them, they count.
void read_pool_kserve(const KubeField& spec, InferencePool& pool) {
  const KubeField selector = spec["selector"];
  read_match_labels(selector["matchLabels"], false, pool);
  selector["matchExpressions"].for_each(
      [&](const KubeField& field) { read_requirement(field, pool.requirements); });
  if (!selector.present()) {
    selector.missing();
  } else if (pool.selector.empty() && pool.requirements.empty()) {
    selector.problem("must have a label or an expression");
  }
  const KubeField ports = spec["targetPorts"];
  read_target_ports(ports, pool);
  if (!ports.present()) pool.target_ports = {kTutorialPoolPort};
  read_app_protocol(spec["appProtocol"], pool);
  read_picker_ref(spec["endpointPickerRef"], pool);
}

PoolRef read_pool_ref(const KubeField& field) {
  PoolRef pool;
  if (!field.present()) field.missing();
  pool.group = field["group"].text().value_or("inference.networking.k8s.io");
  pool.kind = field["kind"].text().value_or("InferencePool");
  pool.name = field["name"].required_text();
  return pool;
}

InferenceModelRewrite::Target read_target(const KubeField& field) {
  InferenceModelRewrite::Target target;
  const KubeField model = field["modelRewrite"];
  if (!model.present()) model.missing();
  target.model = model.text().value_or("");
  if (const auto weight = field["weight"].whole_number(1, kWeightMost)) {
    target.weight = static_cast<int32_t>(*weight);
  }
  return target;
}

std::string read_model_match(const KubeField& match) {
  const KubeField model = match["model"];
  if (!model.present()) model.missing();
  const KubeField type = model["type"];
  if (type.text().value_or("Exact") != "Exact") type.problem("must be Exact");
  return std::string(model["value"].required_text());
}

InferenceModelRewrite::Rule read_rule(const KubeField& field) {
  InferenceModelRewrite::Rule rule;
  field["matches"].for_each(
      [&](const KubeField& match) { rule.models.push_back(read_model_match(match)); });
  const KubeField targets = field["targets"];
  targets.for_each([&](const KubeField& target) { rule.targets.push_back(read_target(target)); });
  if (targets.is_empty_list()) targets.problem("must have a target");
  return rule;
}

}  // namespace

void read_inference_pool(const KubeField& object, InferencePool& pool) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  if (pool.type->group == "serving.kserve.io") return read_pool_kserve(spec, pool);
  if (pool.type->version == "v1alpha2") return read_pool_v1alpha2(spec, pool);
  read_pool_v1(spec, pool);
}

void read_inference_objective(const KubeField& object, InferenceObjective& objective) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  objective.pool = read_pool_ref(spec["poolRef"]);
  using Limits = std::numeric_limits<int32_t>;
  objective.priority =
      static_cast<int32_t>(spec["priority"].whole_number(Limits::min(), Limits::max()).value_or(0));
}

void read_model_rewrite(const KubeField& object, InferenceModelRewrite& rewrite) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  rewrite.pool = read_pool_ref(spec["poolRef"]);
  const KubeField rules = spec["rules"];
  if (!rules.present()) rules.missing();
  rules.for_each([&](const KubeField& rule) { rewrite.rules.push_back(read_rule(rule)); });
}

}  // namespace kvasir
