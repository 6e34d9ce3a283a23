#include "apps/kube_reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

KubeStatus forbidden(const std::string& verb, const std::string& resource) {
  KubeStatus status;
  status.code = 403;
  status.reason = "Forbidden";
  status.message = resource +
                   " is forbidden: User \"system:serviceaccount:models:my-epp\" cannot " + verb +
                   " resource \"" + resource + "\" in API group \"\" in the namespace \"models\"";
  return status;
}

RbacOptions models() {
  RbacOptions rbac;
  rbac.pool_name = "vllm";
  rbac.pool_namespace = rbac.account_namespace = "models";
  return rbac;
}

TEST(KubeReports, AMissingPermissionIsOneLineWithTheCommandThatGrantsIt) {
  RbacOptions rbac = models();
  rbac.leader_election = true;
  EXPECT_EQ(forbidden_line(kube_type(KubeKind::kPod), forbidden("watch", "pods"), rbac),
            "Kubernetes does not allow this program to watch pods (the core group) in namespace "
            "models: what was known of them stays; to allow it: kvasir kube rbac --pool-name vllm "
            "--pool-namespace models --name my-epp --leader-election | kubectl apply -f - (the "
            "server says: pods is forbidden: User \"system:serviceaccount:models:my-epp\" cannot "
            "watch resource \"pods\" in API group \"\" in the namespace \"models\")");
}

TEST(KubeReports, TheCommandGrantsToTheAccountThatTheServerNames) {
  RbacOptions rbac = models();
  rbac.account_namespace = "default";  // the kubeconfig's, which says nothing of the token
  EXPECT_THAT(forbidden_line(kube_type(KubeKind::kPod), forbidden("watch", "pods"), rbac),
              HasSubstr("--pool-namespace models --name my-epp | kubectl"));
  rbac.pool_namespace = "elsewhere";
  EXPECT_THAT(forbidden_line(kube_type(KubeKind::kPod), forbidden("watch", "pods"), rbac),
              HasSubstr("--pool-namespace elsewhere --namespace models --name my-epp | kubectl"));
}

TEST(KubeReports, WordsOfAnotherServerAreToldAsTheyAre) {
  KubeStatus status;
  status.code = 403;
  status.message = "no";
  EXPECT_THAT(forbidden_line(kube_type(KubeKind::kNode), status, models()),
              HasSubstr("to list and watch nodes (the core group) in the whole cluster: what was "
                        "known of them stays; to allow it: kvasir kube rbac --pool-name vllm "
                        "--pool-namespace models | kubectl apply -f - (the server says: no)"));
}

TEST(KubeReports, ThePageHasAgesObjectsAndTroubles) {
  ManualClock clock;
  KubeReports reports(models(), clock);
  KubeFreshness pods;
  pods.kind = "Pod";
  pods.api_version = "v1";
  pods.name_space = "models";
  pods.objects = 3;
  pods.synced = true;
  pods.heard_at = clock.now();
  KubeFreshness pools;
  pools.kind = "InferencePool";
  pools.api_version = "inference.networking.k8s.io/v1";
  pools.name_space = "models";
  clock.advance(std::chrono::seconds(90));
  reports.note({pods, pools});
  reports.on_trouble(kube_type(KubeKind::kPod), forbidden("watch", "pods"), "");
  const std::string page = reports.page();
  EXPECT_THAT(page, HasSubstr("kvasir_kube_last_heard_age_seconds{kind=\"Pod\",api_version=\"v1\","
                              "namespace=\"models\"} 90"));
  EXPECT_THAT(page, Not(HasSubstr("age_seconds{kind=\"InferencePool\"")));
  EXPECT_THAT(
      page,
      HasSubstr("kvasir_kube_objects{kind=\"Pod\",api_version=\"v1\",namespace=\"models\"} 3"));
  EXPECT_THAT(page, HasSubstr("kvasir_kube_synced{kind=\"InferencePool\",api_version=\"inference."
                              "networking.k8s.io/v1\",namespace=\"models\"} 0"));
  EXPECT_THAT(page, HasSubstr("kvasir_kube_troubles_total{kind=\"Pod\",group=\"\","
                              "reason=\"Forbidden\"} 1"));
  EXPECT_THAT(page, Not(HasSubstr("kvasir_kube_leader")));
}

TEST(KubeReports, TheLeaderIsTold) {
  ManualClock clock;
  RbacOptions rbac = models();
  rbac.leader_election = true;
  KubeReports reports(rbac, clock);
  EXPECT_FALSE(reports.leads());
  EXPECT_THAT(reports.page(), HasSubstr("kvasir_kube_leader 0\n"));
  reports.on_leading(true);
  EXPECT_TRUE(reports.leads());
  EXPECT_THAT(reports.page(), HasSubstr("kvasir_kube_leader 1\n"));
  reports.on_leading(false);
  EXPECT_FALSE(reports.leads());
}

}  // namespace
}  // namespace kvasir
