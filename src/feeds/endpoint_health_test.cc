#include "feeds/endpoint_health.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HealthRules rules(uint32_t healthy, uint32_t unhealthy) {
  HealthRules rules;
  rules.healthy_threshold = healthy;
  rules.unhealthy_threshold = unhealthy;
  return rules;
}

EndpointHealth healthy_endpoint() {
  EndpointHealth health(rules(1, 2));
  health.check_passed(milliseconds(1));
  return health;
}

TEST(EndpointHealth, ThresholdsCountAnswersInARow) {
  EndpointHealth health(rules(2, 3));
  EXPECT_FALSE(health.healthy());
  health.check_passed({});
  EXPECT_FALSE(health.healthy());
  health.check_passed({});
  EXPECT_TRUE(health.healthy());
  for (int i = 0; i < 2; ++i) health.check_says_unhealthy();
  health.check_passed({});
  for (int i = 0; i < 2; ++i) health.check_says_unhealthy();
  EXPECT_TRUE(health.healthy());
  health.check_says_unhealthy();
  EXPECT_FALSE(health.healthy());
  EXPECT_TRUE(health.was_healthy());
}

TEST(EndpointHealth, ASlowCheckOfAnEndpointThatServesIsNoFailure) {
  EndpointHealth health = healthy_endpoint();
  for (int i = 0; i < 10; ++i) health.check_unanswered(true);
  EXPECT_TRUE(health.healthy());
  health.check_unanswered(false);
  health.check_unanswered(true);  // begins the row anew
  health.check_unanswered(false);
  EXPECT_TRUE(health.healthy());
  health.check_unanswered(false);
  EXPECT_FALSE(health.healthy());
}

TEST(EndpointHealth, WhatTheEndpointSaysOfItselfCountsThoughItServes) {
  EndpointHealth health = healthy_endpoint();
  health.check_says_unhealthy();
  health.check_says_unhealthy();
  EXPECT_FALSE(health.healthy());
  health.request_served();
  EXPECT_FALSE(health.healthy()) << "it drains, or its path is another one";
}

TEST(EndpointHealth, ServingARequestBringsASilentEndpointBack) {
  EndpointHealth health(rules(2, 1));
  health.request_served();
  EXPECT_FALSE(health.healthy());
  health.request_served();
  EXPECT_TRUE(health.healthy());
  health.check_unanswered(false);
  EXPECT_FALSE(health.healthy());
}

TEST(EndpointHealth, ManyFailedConnectsCountOnceUntilTheNextCheck) {
  EndpointHealth health = healthy_endpoint();
  for (int i = 0; i < 20; ++i) health.connect_failed();
  EXPECT_TRUE(health.healthy());
  EXPECT_TRUE(health.suspected());
  health.check_passed(milliseconds(1));
  EXPECT_FALSE(health.suspected());
  health.connect_failed();
  health.check_unanswered(false);
  EXPECT_FALSE(health.healthy());
}

TEST(EndpointHealth, ClosedConnectionsOnlyRaiseSuspicion) {
  EndpointHealth health = healthy_endpoint();
  for (int i = 0; i < 1000; ++i) health.connection_closed();
  EXPECT_TRUE(health.healthy());
  EXPECT_TRUE(health.suspected());
  health.check_passed(milliseconds(1));
  EXPECT_FALSE(health.suspected());
}

TEST(EndpointHealth, LateAnswersEarnPatienceUpToALimitAndPromptOnesTakeItBack) {
  EndpointHealth health(rules(1, 2));
  EXPECT_EQ(health.patience(), Duration(seconds(2)));
  health.check_passed(milliseconds(3500));
  EXPECT_EQ(health.patience(), Duration(seconds(7)));
  health.check_passed(seconds(9));
  EXPECT_EQ(health.patience(), Duration(seconds(10)));
  health.check_passed(milliseconds(1));
  EXPECT_EQ(health.patience(), Duration(seconds(2)));
}

}  // namespace
}  // namespace kvasir
