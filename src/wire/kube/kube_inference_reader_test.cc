// Pools, objectives and rewrites: what is read of each, and every way in which a field can be
// wrong.
#include <gtest/gtest.h>

#include "wire/kube/kube_reader.h"

namespace kvasir {
namespace {

std::string inference_json(const std::string& api_version, const std::string& kind,
                           const std::string& spec) {
  return R"({"apiVersion":")" + api_version + R"(","kind":")" + kind +
         R"(","metadata":{"name":"a","namespace":"n"},"spec":)" + spec + "}";
}

template <class T>
std::shared_ptr<const T> read_inference(const std::string& api_version, const std::string& spec) {
  KubeReader reader;
  const auto object =
      reader.read_object(inference_json(api_version, std::string(to_string(T::kKind)), spec));
  EXPECT_TRUE(object.ok()) << object.error().message;
  return object.ok() ? std::static_pointer_cast<const T>(*object) : nullptr;
}

constexpr const char* kV1 = "inference.networking.k8s.io/v1";
constexpr const char* kOld = "inference.networking.x-k8s.io/v1alpha2";
constexpr const char* kKserve = "serving.kserve.io/v1alpha1";
constexpr const char* kLlmD = "llm-d.ai/v1alpha2";

TEST(InferencePoolReader, VersionOneIsRead) {
  const auto pool = read_inference<InferencePool>(
      kV1, R"({"selector":{"matchLabels":{"app":"vllm","role":"decode"}},
               "targetPorts":[{"number":8001},{"number":8000}],"appProtocol":"kubernetes.io/h2c",
               "endpointPickerRef":{"name":"epp","port":{"number":9002},"failureMode":"FailOpen"}})");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->selector,
            (std::map<std::string, std::string>{{"app", "vllm"}, {"role", "decode"}}));
  EXPECT_EQ(pool->target_ports, (std::vector<uint16_t>{8001, 8000}));
  EXPECT_EQ(pool->app_protocol, "kubernetes.io/h2c");
  ASSERT_TRUE(pool->picker);
  EXPECT_EQ(pool->picker->name, "epp");
  EXPECT_EQ(pool->picker->kind, "Service");
  EXPECT_EQ(pool->picker->group, "");
  EXPECT_EQ(pool->picker->port, 9002);
  EXPECT_TRUE(pool->picker->fail_open);
}

TEST(InferencePoolReader, DefaultsAreTheCrds) {
  const auto pool = read_inference<InferencePool>(
      kV1, R"({"selector":{"matchLabels":{"app":"vllm"}},"targetPorts":[{"number":8000}]})");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->app_protocol, "http");
  EXPECT_FALSE(pool->picker);
}

TEST(InferencePoolReader, TheFirstVersionIsRead) {
  const auto pool = read_inference<InferencePool>(
      kOld, R"({"selector":{"app":"vllm"},"targetPortNumber":8000,"extensionRef":{"name":"epp"}})");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->selector, (std::map<std::string, std::string>{{"app", "vllm"}}));
  EXPECT_EQ(pool->target_ports, std::vector<uint16_t>{8000});
  ASSERT_TRUE(pool->picker);
  EXPECT_EQ(pool->picker->port, 9002);
  EXPECT_FALSE(pool->picker->fail_open);
}

TEST(InferencePoolReader, TheTutorialsKindIsReadAsItIsWritten) {
  const auto pool = read_inference<InferencePool>(
      kKserve, R"({"modelName":"meta-llama/Llama-2-70b-hf","selector":{
               "matchLabels":{"model":"llama-70b"},
               "matchExpressions":[{"key":"llm-d.ai/role","operator":"In","values":["decode","prefill"]}]},
               "routingPolicy":{"type":"Dynamic"},"healthCheck":{"enabled":true}})");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->target_ports, std::vector<uint16_t>{8000});
  EXPECT_TRUE(selects(*pool, {{"model", "llama-70b"}, {"llm-d.ai/role", "decode"}}));
  EXPECT_TRUE(selects(*pool, {{"model", "llama-70b"}, {"llm-d.ai/role", "prefill"}, {"x", "y"}}));
  EXPECT_FALSE(selects(*pool, {{"model", "llama-70b"}, {"llm-d.ai/role", "encode"}}));
  EXPECT_FALSE(selects(*pool, {{"model", "llama-70b"}}));
  EXPECT_FALSE(selects(*pool, {{"llm-d.ai/role", "decode"}}));
}

TEST(InferencePoolReader, TheTutorialsKindTakesThePortsOfVersionOne) {
  const auto pool = read_inference<InferencePool>(
      kKserve, R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":9000}]})");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->target_ports, std::vector<uint16_t>{9000});
}

TEST(InferencePoolReader, EveryOperatorOfAnExpressionCounts) {
  const struct {
    const char* expression;
    bool with_a;     // selects {"k": "a"}
    bool with_b;     // {"k": "b"}
    bool without_k;  // {}
  } cases[] = {
      {R"({"key":"k","operator":"In","values":["a"]})", true, false, false},
      {R"({"key":"k","operator":"NotIn","values":["a"]})", false, true, true},
      {R"({"key":"k","operator":"Exists"})", true, true, false},
      {R"({"key":"k","operator":"DoesNotExist"})", false, false, true},
  };
  for (const auto& test : cases) {
    const auto pool = read_inference<InferencePool>(
        kKserve, std::string(R"({"selector":{"matchExpressions":[)") + test.expression + "]}}");
    ASSERT_NE(pool, nullptr);
    EXPECT_EQ(selects(*pool, {{"k", "a"}}), test.with_a) << test.expression;
    EXPECT_EQ(selects(*pool, {{"k", "b"}}), test.with_b) << test.expression;
    EXPECT_EQ(selects(*pool, {}), test.without_k) << test.expression;
  }
}

TEST(InferenceObjectiveReader, BothGroupsAreRead) {
  for (const char* version : {kLlmD, kOld}) {
    const auto objective = read_inference<InferenceObjective>(
        version, R"({"priority":-10,"poolRef":{"name":"pool"}})");
    ASSERT_NE(objective, nullptr);
    EXPECT_EQ(objective->priority, -10);
    EXPECT_EQ(objective->pool.name, "pool");
    EXPECT_EQ(objective->pool.group, "inference.networking.k8s.io");
    EXPECT_EQ(objective->pool.kind, "InferencePool");
  }
  const auto plain = read_inference<InferenceObjective>(
      kLlmD, R"({"poolRef":{"group":"g.example","kind":"K","name":"pool"}})");
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(plain->priority, 0);
  EXPECT_EQ(plain->pool.group, "g.example");
}

TEST(ModelRewriteReader, RulesAreRead) {
  for (const char* version : {kLlmD, kOld}) {
    const auto rewrite =
        read_inference<InferenceModelRewrite>(version, R"({"poolRef":{"name":"pool"},"rules":[
          {"matches":[{"model":{"value":"m"}},{"model":{"type":"Exact","value":"m2"}}],
           "targets":[{"modelRewrite":"x","weight":90},{"modelRewrite":"y","weight":10}]},
          {"targets":[{"modelRewrite":"z"}]}]})");
    ASSERT_NE(rewrite, nullptr);
    ASSERT_EQ(rewrite->rules.size(), 2u);
    EXPECT_EQ(rewrite->rules[0].models, (std::vector<std::string>{"m", "m2"}));
    ASSERT_EQ(rewrite->rules[0].targets.size(), 2u);
    EXPECT_EQ(rewrite->rules[0].targets[1].model, "y");
    EXPECT_EQ(rewrite->rules[0].targets[1].weight, 10);
    EXPECT_TRUE(rewrite->rules[1].models.empty());
    EXPECT_EQ(rewrite->rules[1].targets[0].weight, std::nullopt);
  }
}

struct WrongInference {
  const char* version;
  const char* kind;
  const char* spec;
  const char* problems;
};

constexpr WrongInference kWrong[] = {
    {kV1, "InferencePool", "null", "spec: missing"},
    {kV1, "InferencePool", "[]", "spec: must be a map, not a list"},
    {kV1, "InferencePool", "{}", "spec.selector: missing\nspec.targetPorts: missing"},
    {kV1, "InferencePool", R"({"selector":{},"targetPorts":[]})",
     "spec.selector.matchLabels: missing\nspec.targetPorts: must have a port"},
    {kV1, "InferencePool", R"({"selector":{"matchLabels":{}},"targetPorts":{}})",
     "spec.selector.matchLabels: must have a label\nspec.targetPorts: must be a list, not a map"},
    {kV1, "InferencePool", R"({"selector":{"matchLabels":{"a":5}},"targetPorts":[{"number":1}]})",
     "spec.selector.matchLabels.a: must be a text, not a number (in quotes it is a text)\n"
     "spec.selector.matchLabels: must have a label"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"no label!"}},"targetPorts":[{"number":1}]})",
     "spec.selector.matchLabels: the value of 'a' is no label"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":0},{"number":65536},{},{"number":"80"},7,{"number":1.5}]})",
     "spec.targetPorts[0].number: must be a number from 1 to 65535\n"
     "spec.targetPorts[1].number: must be a number from 1 to 65535\n"
     "spec.targetPorts[2].number: missing\n"
     "spec.targetPorts[3].number: must be a whole number, not a text\n"
     "spec.targetPorts[4]: must be a map, not a number\n"
     "spec.targetPorts[5].number: must be a whole number, not a number"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":1},{"number":2},{"number":1}]})",
     "spec.targetPorts[2].number: is there already: ports must differ"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":1},{"number":2},{"number":3},{"number":4},{"number":5},{"number":6},{"number":7},{"number":8},{"number":9}]})",
     "spec.targetPorts: must have 8 ports at most"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":1}],"appProtocol":"grpc","endpointPickerRef":{"failureMode":"Open"}})",
     "spec.appProtocol: must be http or kubernetes.io/h2c\n"
     "spec.endpointPickerRef.name: missing\n"
     "spec.endpointPickerRef.failureMode: must be FailOpen or FailClose\n"
     "spec.endpointPickerRef.port: missing: a Service needs one"},
    {kV1, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPorts":[{"number":1}],"endpointPickerRef":{"name":"","port":{"number":18446744073709551615}}})",
     "spec.endpointPickerRef.name: must not be empty\n"
     "spec.endpointPickerRef.port.number: must be a number from 1 to 65535"},
    {kOld, "InferencePool", "{}",
     "spec.selector: missing\nspec.targetPortNumber: missing\nspec.extensionRef: missing"},
    {kOld, "InferencePool",
     R"({"selector":{"matchLabels":{"a":"b"}},"targetPortNumber":true,"extensionRef":"epp"})",
     "spec.selector.matchLabels: must be a text, not a map\n"
     "spec.targetPortNumber: must be a whole number, not a boolean\n"
     "spec.extensionRef: must be a map, not a text"},
    {kKserve, "InferencePool", "{}", "spec.selector: missing"},
    {kKserve, "InferencePool", R"({"selector":{}})",
     "spec.selector: must have a label or an expression"},
    {kKserve, "InferencePool",
     R"({"selector":{"matchExpressions":[{"operator":"In","values":["a"]},{"key":"a","operator":"In"},{"key":"b","operator":"Exists","values":["x"]},{"key":"c","operator":"Like"},{"key":"d"}]}})",
     "spec.selector.matchExpressions[0].key: missing\n"
     "spec.selector.matchExpressions[1].values: In needs a value\n"
     "spec.selector.matchExpressions[2].values: Exists takes no values\n"
     "spec.selector.matchExpressions[3].operator: must be In, NotIn, Exists or DoesNotExist\n"
     "spec.selector.matchExpressions[4].operator: missing"},
    {kLlmD, "InferenceObjective", "{}", "spec.poolRef: missing"},
    {kLlmD, "InferenceObjective", R"({"poolRef":{},"priority":2147483648})",
     "spec.poolRef.name: missing\n"
     "spec.priority: must be a number from -2147483648 to 2147483647"},
    {kLlmD, "InferenceModelRewrite", "{}", "spec.poolRef: missing\nspec.rules: missing"},
    {kLlmD, "InferenceModelRewrite",
     R"({"poolRef":{"name":"p"},"rules":[{"targets":[]},{"matches":[{}],"targets":[{}]},{"matches":[{"model":{"type":"Prefix","value":""}}],"targets":[{"modelRewrite":"m","weight":0},{"modelRewrite":5,"weight":1000001}]}]})",
     "spec.rules[0].targets: must have a target\n"
     "spec.rules[1].matches[0].model: missing\n"
     "spec.rules[1].targets[0].modelRewrite: missing\n"
     "spec.rules[2].matches[0].model.type: must be Exact\n"
     "spec.rules[2].matches[0].model.value: must not be empty\n"
     "spec.rules[2].targets[0].weight: must be a number from 1 to 1000000\n"
     "spec.rules[2].targets[1].modelRewrite: must be a text, not a number (in quotes it is a "
     "text)\n"
     "spec.rules[2].targets[1].weight: must be a number from 1 to 1000000"},
};

TEST(InferenceReaders, EveryProblemHasItsPath) {
  KubeReader reader;
  for (const WrongInference& test : kWrong) {
    const auto object = reader.read_object(inference_json(test.version, test.kind, test.spec));
    ASSERT_FALSE(object.ok()) << test.spec;
    EXPECT_EQ(object.error().message, test.problems) << test.spec;
  }
}

}  // namespace
}  // namespace kvasir
