#include "cluster/service_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ServiceAddressesTest : public ::testing::Test {
 protected:
  struct Slice {
    std::string name;
    std::vector<std::string> addresses;
    std::string service = "epp";
    std::string name_space = "default";
    std::string type = "IPv4";
  };

  void put(const Slice& slice) {
    auto object = std::make_shared<EndpointSlice>();
    object->meta.name = slice.name;
    object->meta.name_space = slice.name_space;
    object->service_name = slice.service;
    object->address_type = slice.type;
    for (const std::string& address : slice.addresses) {
      EndpointSlice::Member member;
      member.addresses = {address};
      member.ready = false;
      member.terminating = true;
      object->members.push_back(member);
    }
    store_.put(KubeKind::kEndpointSlice, object);
  }
  void follow() {
    addresses_ = std::make_unique<ServiceAddresses>(
        store_, "default", "epp",
        [this](const std::vector<std::string>& now) { told_.push_back(now); });
  }

  ObjectStore store_;
  std::vector<std::vector<std::string>> told_;
  std::unique_ptr<ServiceAddresses> addresses_;
};

TEST_F(ServiceAddressesTest, AllMembersOfAllSlicesCountWhetherReadyOrNot) {
  put({"epp-1", {"10.0.0.2", "10.0.0.1"}});
  put({"epp-2", {"10.0.0.3", "10.0.0.1"}});
  follow();
  EXPECT_THAT(addresses_->addresses(), ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3"));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ServiceAddressesTest, OthersSlicesAndNamesDoNotCount) {
  put({"other", {"10.0.0.1"}, "gateway"});
  put({"epp", {"10.0.0.2"}, "epp", "elsewhere"});
  put({"epp-names", {"host.example"}, "epp", "default", "FQDN"});
  put({"epp-6", {"fd00::1"}, "epp", "default", "IPv6"});
  follow();
  EXPECT_THAT(addresses_->addresses(), ElementsAre("fd00::1"));
}

TEST_F(ServiceAddressesTest, ChangesAreToldOnceABatchAndOnlyWhenTheAddressesDiffer) {
  follow();
  put({"epp-1", {"10.0.0.1"}});
  put({"epp-2", {"10.0.0.2"}});
  EXPECT_THAT(told_, IsEmpty());
  store_.end_batch();
  put({"epp-2", {"10.0.0.2", "10.0.0.1"}});
  store_.end_batch();
  store_.remove(KubeKind::kEndpointSlice, {"default", "epp-2"});
  store_.end_batch();
  EXPECT_THAT(told_, ElementsAre(ElementsAre("10.0.0.1", "10.0.0.2"), ElementsAre("10.0.0.1")));
}

}  // namespace
}  // namespace kvasir
