// For tests of requests that go by routes.
#pragma once

#include <string>
#include <vector>

#include "gateway/gateway_fixture.h"
#include "kube/object_store.h"
#include "routes/route_feed.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

inline constexpr const char* kOneGateway = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool}
spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}]}
---
)";

class RoutedRequestsTest : public GatewayTest {
 protected:
  RoutedRequestsTest() : web_(*loop_, "web"), other_(*loop_, "other") {
    options_.listener_port = 80;
  }

  // A Service whose members are these workers.
  static std::string service(const std::string& name,
                             const std::vector<const FakeWorker*>& workers) {
    std::string text = "{apiVersion: v1, kind: Service, metadata: {name: " + name +
                       "}, spec: {ports: [{port: 80}]}}\n---\n";
    for (const FakeWorker* worker : workers) {
      const std::string port = std::to_string(worker->port());
      text +=
          "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: "
          "{name: " +
          name + "-" + port + ", labels: {kubernetes.io/service-name: " + name +
          "}}, ports: [{port: " + port + "}], endpoints: [{addresses: [127.0.0.1]}]}\n---\n";
    }
    return text;
  }

  // `rules`: of the one route.
  void route(const std::string& rules, const std::string& more = "") {
    const std::string text =
        kOneGateway + service("web", {&web_}) + service("both", {&web_, &other_}) + more +
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
        "spec:\n  parentRefs: [{name: gw}]\n  rules:\n" +
        rules;
    auto objects = read_manifest(text);
    ASSERT_TRUE(objects.ok()) << objects.error().message;
    ObjectStore store;
    for (const ManifestObject& object : *objects) {
      ASSERT_NE(object.object, nullptr) << to_string(object.problems);
      store.put(object.object->type->as, object.object);
    }
    store.end_batch();
    RouteFeed feed(
        store, [](const KubeGateway&) { return true; }, [](auto) {});
    gateway_->set_routes(feed.current());
  }

  Answer get(const std::string& target, const std::string& fields = "",
             const std::string& host = "g") {
    return call("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
  }
  Answer post(const std::string& target, const std::string& fields = "") {
    const std::string body = R"({"prompt":"x"})";
    return call("POST " + target + " HTTP/1.1\r\nHost: g\r\n" + fields +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                body);
  }

  FakeWorker web_, other_;
};

}  // namespace kvasir
