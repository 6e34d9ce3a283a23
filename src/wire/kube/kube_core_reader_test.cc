// The kinds of Kubernetes itself: what is read of each, and every way in which a field can be
// wrong.
#include <gtest/gtest.h>

#include "wire/kube/kube_reader.h"

namespace kvasir {
namespace {

std::string core_json(KubeKind kind, const std::string& rest) {
  const KubeType& type = kube_type(kind);
  return R"({"apiVersion":")" + type.api_version() + R"(","kind":")" + std::string(type.kind) +
         R"(","metadata":{"name":"a","namespace":"n"})" + (rest.empty() ? "" : ",") + rest + "}";
}

template <class T>
std::shared_ptr<const T> read_core(const std::string& rest) {
  KubeReader reader;
  const auto object = reader.read_object(core_json(T::kKind, rest));
  EXPECT_TRUE(object.ok()) << object.error().message;
  return object.ok() ? std::static_pointer_cast<const T>(*object) : nullptr;
}

TEST(KubeMeta, IsReadOfEveryKind) {
  KubeReader reader;
  const auto object =
      reader.read_object(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1",
      "namespace":"dropped","uid":"u-1","resourceVersion":"12","creationTimestamp":"2026-01-31T08:00:00Z",
      "deletionTimestamp":"2026-01-31T08:00:01Z",
      "labels":{"topology.kubernetes.io/zone":"a","empty":""},
      "annotations":{"llm-d.ai/active-ports":"8000","kubectl.kubernetes.io/last-applied-configuration":"{}"},
      "managedFields":[{"manager":"x"}]}})");
  ASSERT_TRUE(object.ok()) << object.error().message;
  const ObjectMeta& meta = (*object)->meta;
  EXPECT_EQ(meta.key(), (ObjectKey{"", "n1"}));
  EXPECT_EQ(meta.uid, "u-1");
  EXPECT_EQ(meta.resource_version, "12");
  EXPECT_EQ(meta.created_seconds, 1769846400);
  EXPECT_TRUE(meta.deleting);
  ASSERT_NE(meta.label("topology.kubernetes.io/zone"), nullptr);
  EXPECT_EQ(*meta.label("topology.kubernetes.io/zone"), "a");
  EXPECT_EQ(meta.annotations.size(), 1u);
  EXPECT_EQ(*meta.annotation("llm-d.ai/active-ports"), "8000");
}

TEST(KubeMeta, EveryProblemHasItsPath) {
  const struct {
    const char* meta;
    const char* problems;
  } cases[] = {
      {"null", "metadata: missing"},
      {"[]", "metadata: must be a map, not a list"},
      {"{}", "metadata.name: missing\nmetadata.namespace: missing"},
      {R"({"name":"","namespace":""})",
       "metadata.name: must not be empty\nmetadata.namespace: missing"},
      {R"({"name":"Up","namespace":"a.b"})",
       "metadata.name: must be lower case letters, digits, '-' and '.', 253 at most\n"
       "metadata.namespace: must be lower case letters, digits and '-', 63 at most"},
      {R"({"name":5,"namespace":true})",
       "metadata.name: must be a text, not a number (in quotes it is a text)\n"
       "metadata.namespace: must be a text, not a boolean (in quotes it is a text)\n"
       "metadata.namespace: missing"},
      {R"({"name":"a","namespace":"n","creationTimestamp":"yesterday","labels":[],"annotations":5})",
       "metadata.creationTimestamp: must be a time such as 2026-01-31T08:00:00Z\n"
       "metadata.labels: must be a map, not a list\n"
       "metadata.annotations: must be a map, not a number"},
      {R"({"name":"a","namespace":"n","labels":{"a b":"c"}})",
       "metadata.labels: 'a b' or its value is no label: letters, digits, '-', '_' and '.', 63 at "
       "most"},
      {R"({"name":"a","namespace":"n","labels":{"x.y/z":1},"annotations":{"k":{}}})",
       "metadata.labels.x.y/z: must be a text, not a number (in quotes it is a text)\n"
       "metadata.annotations.k: must be a text, not a map"},
  };
  KubeReader reader;
  for (const auto& test : cases) {
    const auto object = reader.read_object(
        std::string(R"({"apiVersion":"v1","kind":"Pod","metadata":)") + test.meta + "}");
    ASSERT_FALSE(object.ok()) << test.meta;
    EXPECT_EQ(object.error().message, test.problems) << test.meta;
  }
}

TEST(PodReader, ReadsWhatDiscoveryNeeds) {
  const auto pod = read_core<Pod>(
      R"("spec":{"nodeName":"node1","containers":[{"name":"x"}]},
         "status":{"phase":"Running","podIP":"10.244.0.7","hostIP":"10.240.0.2","conditions":[
           {"type":"Initialized","status":"False"},{"type":"Ready","status":"True"}]})");
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->ip, "10.244.0.7");
  EXPECT_EQ(pod->node_name, "node1");
  EXPECT_EQ(pod->node_ip, "10.240.0.2");
  EXPECT_EQ(pod->phase, "Running");
  EXPECT_TRUE(pod->ready);
  const auto young = read_core<Pod>(R"("spec":{},"status":{"phase":"Pending","conditions":null})");
  ASSERT_NE(young, nullptr);
  EXPECT_EQ(young->ip, "");
  EXPECT_FALSE(young->ready);
}

TEST(ServiceReader, ReadsPortsAndSelector) {
  const auto service = read_core<Service>(
      R"("spec":{"clusterIP":"10.96.0.7","type":"NodePort","selector":{"app":"epp"},"ports":[
          {"name":"grpc","port":9002,"targetPort":9002,"appProtocol":"kubernetes.io/h2c"},
          {"name":"http","port":80,"targetPort":"web"},{"name":"same","port":81}]})");
  ASSERT_NE(service, nullptr);
  EXPECT_EQ(service->cluster_ip, "10.96.0.7");
  EXPECT_EQ(service->service_type, "NodePort");
  EXPECT_EQ(service->selector.at("app"), "epp");
  ASSERT_EQ(service->ports.size(), 3u);
  EXPECT_EQ(service->ports[0].target_port, "9002");
  EXPECT_EQ(service->ports[0].app_protocol, "kubernetes.io/h2c");
  EXPECT_EQ(service->ports[1].target_port, "web");
  EXPECT_EQ(service->ports[2].target_port, "");
  const auto outside =
      read_core<Service>(R"("spec":{"type":"ExternalName","externalName":"x.example"})");
  ASSERT_NE(outside, nullptr);
  EXPECT_EQ(outside->external_name, "x.example");
  const auto headless = read_core<Service>(R"("spec":{"clusterIP":"None"})");
  ASSERT_NE(headless, nullptr);
  EXPECT_EQ(headless->service_type, "ClusterIP");
}

TEST(EndpointSliceReader, ReadsMembersAndPorts) {
  KubeReader reader;
  const auto object = reader.read_object(
      R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"epp-x",
          "namespace":"n","labels":{"kubernetes.io/service-name":"epp"}},"addressType":"IPv4",
          "endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":false,"serving":true,
            "terminating":true},"nodeName":"node1","targetRef":{"kind":"Pod","name":"epp-1"}},
            {"addresses":["10.0.0.2","10.0.0.3"]}],
          "ports":[{"name":"grpc","port":9002,"protocol":"TCP"},{"name":"all"}]})");
  ASSERT_TRUE(object.ok()) << object.error().message;
  const auto& slice = static_cast<const EndpointSlice&>(**object);
  EXPECT_EQ(slice.service_name, "epp");
  EXPECT_EQ(slice.address_type, "IPv4");
  ASSERT_EQ(slice.members.size(), 2u);
  EXPECT_FALSE(slice.members[0].ready);
  EXPECT_TRUE(slice.members[0].serving);
  EXPECT_TRUE(slice.members[0].terminating);
  EXPECT_EQ(slice.members[0].target_name, "epp-1");
  EXPECT_EQ(slice.members[0].node_name, "node1");
  EXPECT_TRUE(slice.members[1].ready);
  EXPECT_TRUE(slice.members[1].serving);
  EXPECT_FALSE(slice.members[1].terminating);
  EXPECT_EQ(slice.members[1].addresses, (std::vector<std::string>{"10.0.0.2", "10.0.0.3"}));
  ASSERT_EQ(slice.ports.size(), 1u);
  EXPECT_EQ(slice.ports[0].name, "grpc");
  EXPECT_EQ(slice.ports[0].port, 9002);
  EXPECT_NE(read_core<EndpointSlice>(
                R"("addressType":"FQDN","endpoints":[{"addresses":["a.example"]}],"ports":null)"),
            nullptr);
  EXPECT_NE(read_core<EndpointSlice>(R"("addressType":"IPv6","endpoints":null)"), nullptr);
}

TEST(SecretReader, DataIsDecodedAndTextCounts) {
  const auto secret = read_core<Secret>(
      R"("type":"kubernetes.io/tls","data":{"tls.crt":"Zm9v","tls.key":"Zm9v\nYmFy","e":"","n":null},
         "stringData":{"tls.key":"plain"})");
  ASSERT_NE(secret, nullptr);
  EXPECT_EQ(secret->secret_type, "kubernetes.io/tls");
  EXPECT_EQ(secret->data.at("tls.crt"), "foo");
  EXPECT_EQ(secret->data.at("tls.key"), "plain");
  EXPECT_EQ(secret->data.at("e"), "");
}

TEST(SecretReader, WhatItSaysIsNeverTold) {
  KubeReader reader;
  const auto secret = reader.read_object(
      core_json(KubeKind::kSecret, R"("data":{"a":"hunter2!","b":5},"stringData":{"c":[]})"));
  ASSERT_FALSE(secret.ok());
  EXPECT_EQ(secret.error().message,
            "data.a: must be base64\n"
            "data.b: must be a text, not a number (in quotes it is a text)\n"
            "stringData.c: must be a text, not a list");
}

TEST(ConfigMapReader, DataIsTexts) {
  const auto map =
      read_core<ConfigMap>(R"("data":{"a.yaml":"x: 1\n","b":""},"binaryData":{"c":"Zg=="})");
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->data, (std::map<std::string, std::string>{{"a.yaml", "x: 1\n"}, {"b", ""}}));
}

TEST(LeaseReader, ReadsWhoHoldsItAndUntilWhen) {
  const auto lease = read_core<Lease>(
      R"("spec":{"holderIdentity":"pod-a","leaseDurationSeconds":15,"leaseTransitions":3,
         "acquireTime":"2026-01-01T00:00:00.000000Z","renewTime":"2026-01-01T00:00:10.123456Z"})");
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease->holder, "pod-a");
  EXPECT_EQ(lease->duration_seconds, 15);
  EXPECT_EQ(lease->transitions, 3);
  EXPECT_EQ(lease->acquire_time, "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(lease->renew_time, "2026-01-01T00:00:10.123456Z");
  const auto free_lease = read_core<Lease>(R"("spec":{"holderIdentity":null})");
  ASSERT_NE(free_lease, nullptr);
  EXPECT_EQ(free_lease->holder, "");
}

constexpr struct {
  KubeKind kind;
  const char* rest;
  const char* problems;
} kWrongCore[] = {
    {KubeKind::kPod, R"("status":{"podIP":"10.0.0","hostIP":"x","conditions":{}})",
     "status.podIP: must be an IP address\nstatus.hostIP: must be an IP address\n"
     "status.conditions: must be a list, not a map"},
    {KubeKind::kPod, R"("status":{"conditions":[5,{"type":"Ready","status":true}]},"spec":"x")",
     "spec: must be a map, not a text\n"
     "status.conditions[0]: must be a map, not a number\n"
     "status.conditions[1].status: must be a text, not a boolean (in quotes it is a text)"},
    {KubeKind::kPod, R"("status":{"podIP":"10.0.0.1\u0000evil"})",
     "status.podIP: must be an IP address"},
    {KubeKind::kService, "", "spec: missing"},
    {KubeKind::kService, R"("spec":{})", "spec.ports: missing"},
    {KubeKind::kService, R"("spec":{"type":"Magic","clusterIP":"x","ports":[{"port":70000}]})",
     "spec.type: must be ClusterIP, NodePort, LoadBalancer or ExternalName\n"
     "spec.clusterIP: must be an IP address\n"
     "spec.ports[0].port: must be a number from 1 to 65535"},
    {KubeKind::kService, R"("spec":{"type":"ExternalName"})", "spec.externalName: missing"},
    {KubeKind::kService, R"("spec":{"ports":[{"port":1},{"port":2}]})",
     "spec.ports: each of several ports needs a name"},
    {KubeKind::kService, R"("spec":{"ports":[{"name":"a","port":1},{"name":"a","port":2}]})",
     "spec.ports: two ports are named 'a'"},
    {KubeKind::kService,
     R"("spec":{"ports":[{"targetPort":0},{"name":"b","port":1,"targetPort":"Not A Port"}]})",
     "spec.ports[0].port: missing\n"
     "spec.ports[0].targetPort: must be a number from 1 to 65535\n"
     "spec.ports[1].targetPort: must be a port's number or its name: 15 lower case letters, digits "
     "and '-'\n"
     "spec.ports: each of several ports needs a name"},
    {KubeKind::kEndpointSlice, "", "addressType: missing"},
    {KubeKind::kEndpointSlice,
     R"("addressType":"IPv5","endpoints":[{"addresses":["x"]},{}],"ports":[{"port":0}])",
     "addressType: must be IPv4, IPv6 or FQDN\n"
     "endpoints[0].addresses[0]: must be an IP address\n"
     "endpoints[1].addresses: missing\n"
     "ports[0].port: must be a number from 1 to 65535"},
    {KubeKind::kEndpointSlice,
     R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":"yes"},"targetRef":[]}])",
     "endpoints[0].conditions.ready: must be true or false, not a text\n"
     "endpoints[0].targetRef: must be a map, not a list"},
    {KubeKind::kConfigMap, R"("data":{"a":5})",
     "data.a: must be a text, not a number (in quotes it is a text)"},
    {KubeKind::kLease,
     R"("spec":{"holderIdentity":5,"leaseDurationSeconds":0,"leaseTransitions":-1,"renewTime":"now"})",
     "spec.holderIdentity: must be a text, not a number (in quotes it is a text)\n"
     "spec.leaseDurationSeconds: must be a number from 1 to 2147483647\n"
     "spec.leaseTransitions: must be a number from 0 to 2147483647\n"
     "spec.renewTime: must be a time such as 2026-01-31T08:00:00.000000Z"},
};

TEST(CoreReaders, EveryProblemHasItsPath) {
  KubeReader reader;
  for (const auto& test : kWrongCore) {
    const auto object = reader.read_object(core_json(test.kind, test.rest));
    ASSERT_FALSE(object.ok()) << test.rest;
    EXPECT_EQ(object.error().message, test.problems) << test.rest;
  }
}

TEST(CoreReaders, WhatIsTooLargeIsRefused) {
  KubeReader reader;
  const std::string text(1024 * 1024 + 1, 'x');
  EXPECT_FALSE(
      reader.read_object(core_json(KubeKind::kConfigMap, R"("data":{"a":")" + text + "\"}")).ok());
  std::string addresses;
  for (int i = 0; i < 101; ++i) addresses += i > 0 ? ",\"10.0.0.1\"" : "\"10.0.0.1\"";
  const auto slice = reader.read_object(
      core_json(KubeKind::kEndpointSlice,
                R"("addressType":"IPv4","endpoints":[{"addresses":[)" + addresses + "]}]"));
  ASSERT_FALSE(slice.ok());
  EXPECT_EQ(slice.error().message, "endpoints[0].addresses: must be 100 at most");
}

}  // namespace
}  // namespace kvasir
