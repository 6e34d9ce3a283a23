#include "wire/kube/kube_reader.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

const KubeType& pods() {
  return kube_type(KubeKind::kPod);
}

// The members of an object that no test is about.
std::string with_meta(const std::string& rest) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n"})" + rest + "}";
}

TEST(KubeReaderList, ObjectsVersionAndTokenAreRead) {
  KubeReader reader;
  const auto page = reader.read_list(
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"645","continue":"eyJ2",
          "remainingItemCount":4},"items":[
          {"metadata":{"name":"a","namespace":"n","resourceVersion":"7"},"status":{"podIP":"10.0.0.1"}},
          {"metadata":{"name":"b","namespace":"n"}}]})",
      pods());
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->resource_version, "645");
  EXPECT_EQ(page->continue_token, "eyJ2");
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_TRUE(page->refused.empty());
  EXPECT_EQ(page->objects[0]->meta.key(), (ObjectKey{"n", "a"}));
  EXPECT_EQ(page->objects[0]->meta.resource_version, "7");
  EXPECT_EQ(page->objects[0]->type, &pods());
  EXPECT_EQ(static_cast<const Pod&>(*page->objects[0]).ip, "10.0.0.1");
}

TEST(KubeReaderList, AnObjectThatCannotBeReadLeavesTheOthers) {
  KubeReader reader;
  const auto page = reader.read_list(
      R"({"metadata":{},"items":[{"metadata":{"name":"a","namespace":"n"}},
          {"metadata":{"name":"b","namespace":"n"},"status":{"podIP":5}},
          {"metadata":{"name":"c","namespace":"n"}}]})",
      pods());
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->objects.size(), 2u);
  ASSERT_EQ(page->refused.size(), 1u);
  EXPECT_EQ(page->refused[0].first, (ObjectKey{"n", "b"}));
  EXPECT_EQ(to_string(page->refused[0].second),
            "status.podIP: must be a text, not a number (in quotes it is a text)");
}

TEST(KubeReaderList, EmptyListsAreLists) {
  KubeReader reader;
  for (const char* json : {R"({"items":[]})", R"({"items":null})", R"( { "items" : [ ] } )"}) {
    const auto page = reader.read_list(json, pods());
    ASSERT_TRUE(page.ok()) << json << page.error().message;
    EXPECT_TRUE(page->objects.empty());
  }
}

TEST(KubeReaderList, WhatIsNoListIsAnError) {
  const std::string whole = R"({"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[)" +
                            with_meta("") + "," + with_meta("") + "]}";
  const struct {
    std::string json;
    const char* error;
  } cases[] = {
      {"", "not JSON: no map begins it"},
      {"[]", "not JSON: no map begins it"},
      {"{}", "no PodList: it has no items"},
      {R"({"items":5})", "items: must be a list"},
      {R"({"items":{}})", "items: must be a list"},
      {R"({"kind":"Status","code":403})", "a Status instead of a PodList"},
      {R"({"kind":5,"items":[]})", "kind: must be a text, not a number (in quotes it is a text)"},
      {R"({"metadata":{"resourceVersion":5},"items":[]})",
       "metadata: resourceVersion: must be a text, not a number (in quotes it is a text)"},
      {R"({"items":[]}{)", "not JSON: more behind the list"},
      {R"({"items":[}})", "not JSON: a list that breaks off"},
      {R"({"items":[{}})", "not JSON: a list that breaks off"},
      {R"({"items" [])", "not JSON: a list that breaks off"},
      {R"({"items":[],})", "not JSON: a list that breaks off"},
  };
  KubeReader reader;
  for (const auto& test : cases) {
    const auto page = reader.read_list(test.json, pods());
    ASSERT_FALSE(page.ok()) << test.json;
    EXPECT_EQ(page.error().message, test.error) << test.json;
  }
  ASSERT_TRUE(reader.read_list(whole, pods()).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(reader.read_list(whole.substr(0, size), pods()).ok()) << size;
  }
}

TEST(KubeReaderEvent, EachKindIsRead) {
  using Kind = KubeWatchEvent::Kind;
  const struct {
    const char* name;
    Kind kind;
  } cases[] = {{"ADDED", Kind::kAdded}, {"MODIFIED", Kind::kModified}, {"DELETED", Kind::kDeleted}};
  KubeReader reader;
  for (const auto& test : cases) {
    const std::string json =
        std::string(R"({"type":")") + test.name +
        R"(","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n",
           "uid":"u","resourceVersion":"9"}}})";
    const auto event = reader.read_event(json, pods());
    ASSERT_TRUE(event.ok()) << event.error().message;
    EXPECT_EQ(event->kind, test.kind);
    ASSERT_NE(event->object, nullptr);
    EXPECT_EQ(event->object->meta.uid, "u");
    EXPECT_EQ(event->key, (ObjectKey{"n", "a"}));
    EXPECT_EQ(event->resource_version, "9");
  }
}

TEST(KubeReaderEvent, BookmarksSayHowFarAndWhetherAllWasTold) {
  KubeReader reader;
  const auto plain = reader.read_event(
      R"({"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":
          {"resourceVersion":"12","creationTimestamp":null},"spec":{"containers":null}}})",
      pods());
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_EQ(plain->kind, KubeWatchEvent::Kind::kBookmark);
  EXPECT_EQ(plain->resource_version, "12");
  EXPECT_FALSE(plain->initial_events_end);
  const auto last = reader.read_event(
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"13","annotations":
          {"k8s.io/initial-events-end":"true"}}}})",
      pods());
  ASSERT_TRUE(last.ok());
  EXPECT_TRUE(last->initial_events_end);
}

TEST(KubeReaderEvent, AnErrorHasItsStatus) {
  KubeReader reader;
  const auto event = reader.read_event(
      R"j({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
          "message":"too old resource version: 2 (793)","reason":"Expired","code":410}})j",
      pods());
  ASSERT_TRUE(event.ok()) << event.error().message;
  EXPECT_EQ(event->kind, KubeWatchEvent::Kind::kError);
  EXPECT_EQ(event->status.code, 410);
  EXPECT_EQ(event->status.reason, "Expired");
  EXPECT_EQ(event->status.message, "too old resource version: 2 (793)");
}

TEST(KubeReaderEvent, AnObjectWithProblemsHasItsKey) {
  KubeReader reader;
  const auto event = reader.read_event(
      R"({"type":"MODIFIED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"3"},
          "spec":[]}})",
      pods());
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->object, nullptr);
  EXPECT_EQ(event->key, (ObjectKey{"n", "a"}));
  EXPECT_EQ(event->resource_version, "3");
  EXPECT_EQ(to_string(event->problems), "spec: must be a map, not a list");
}

TEST(KubeReaderEvent, WhatIsNoEventIsAnError) {
  const struct {
    const char* json;
    const char* error;
  } cases[] = {
      {"5", "must be a map, not a number"},
      {"{}", "type: missing\nobject: missing"},
      {R"({"type":5,"object":{}})", "type: must be a text, not a number (in quotes it is a text)"},
      {R"({"type":"NEWS","object":{}})", "type: is no event of a watch"},
      {R"({"type":"ADDED","object":null})", "object: missing"},
  };
  KubeReader reader;
  for (const auto& test : cases) {
    const auto event = reader.read_event(test.json, pods());
    ASSERT_FALSE(event.ok()) << test.json;
    EXPECT_EQ(event.error().message, test.error) << test.json;
  }
  for (const char* json : {"", "{", R"({"type":"ADDED","object":{"metadata":{"name)",
                           "{\"type\":\"ADDED\",\"object\":{\"a\":\"\xff\"}}",
                           R"({"type":"ADDED","object":{"a":1e999}})", R"({"a":"b"} {})"}) {
    const auto event = reader.read_event(json, pods());
    ASSERT_FALSE(event.ok()) << json;
    EXPECT_EQ(event.error().message.substr(0, 9), "not JSON:") << json;
  }
}

TEST(KubeReaderStatus, SaysWhyNotAndWhatToDo) {
  KubeReader reader;
  const auto status = reader.read_status(
      R"({"kind":"Status","apiVersion":"v1","metadata":{"continue":"next"},"status":"Failure",
          "message":"Too large resource version","reason":"Timeout","details":{"causes":[{},
          {"reason":"ResourceVersionTooLarge","message":"x"}],"retryAfterSeconds":1},"code":504})");
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(status->code, 504);
  EXPECT_EQ(status->reason, "Timeout");
  EXPECT_EQ(status->continue_token, "next");
  EXPECT_EQ(status->retry_after_seconds, 1);
  EXPECT_EQ(status->cause, "ResourceVersionTooLarge");
}

TEST(KubeReaderStatus, OddFieldsAreLeftAside) {
  KubeReader reader;
  const auto status = reader.read_status(
      R"({"kind":"Status","code":"x","message":5,"reason":"Gone","details":[],"metadata":7})");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->code, 0);
  EXPECT_EQ(status->reason, "Gone");
  for (const char* json : {"", "404 page not found", "{}", R"({"kind":"Pod"})", "[]"}) {
    EXPECT_FALSE(reader.read_status(json).ok()) << json;
  }
}

TEST(KubeReaderObject, TheTypeIsItsOwn) {
  KubeReader reader;
  const auto pod = reader.read_object(with_meta(R"(,"status":{"phase":"Running"})"));
  ASSERT_TRUE(pod.ok()) << pod.error().message;
  EXPECT_EQ((*pod)->type->as, KubeKind::kPod);
  const struct {
    const char* json;
    const char* error;
  } cases[] = {
      {"{}", "apiVersion: missing\nkind: missing"},
      {"[]", "must be a map, not a list"},
      {R"({"apiVersion":"apps/v1","kind":"Deployment"})", "a Deployment of apps/v1 is not read"},
      {R"({"apiVersion":"v1","kind":"Pod"})", "metadata: missing"},
      {R"({"apiVersion":"v1","kind":"Pod","metadata":{}})",
       "metadata.name: missing\nmetadata.namespace: missing"},
  };
  for (const auto& test : cases) {
    const auto object = reader.read_object(test.json);
    ASSERT_FALSE(object.ok()) << test.json;
    EXPECT_EQ(object.error().message.substr(0, std::string(test.error).size()), test.error)
        << object.error().message;
  }
}

TEST(KubeReader, HostileJsonIsAnErrorAndNothingWorse) {
  KubeReader reader;
  const std::string deep(5000, '[');
  EXPECT_FALSE(reader.read_object(deep).ok());
  EXPECT_FALSE(reader.read_object(deep + std::string(5000, ']')).ok());
  EXPECT_FALSE(reader.read_list(R"({"items":[{"a":)" + deep + "}]}", pods()).ok());
  EXPECT_FALSE(
      reader.read_list(R"({"items":[{"a":)" + deep + std::string(5000, ']') + "}]}", pods()).ok());
  EXPECT_FALSE(
      reader.read_object(with_meta(R"(,"spec":{"a":123456789012345678901234567890})")).ok());
  // The first of two equal keys counts.
  const auto twice = reader.read_object(with_meta(R"(,"status":{"phase":"A","phase":"B"})"));
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(static_cast<const Pod&>(**twice).phase, "A");
}

TEST(KubeReader, OnlySoManyProblemsAreNoted) {
  KubeReader reader;
  std::string labels;
  for (int i = 0; i < 1000; ++i) labels += (i > 0 ? ",\"l" : "\"l") + std::to_string(i) + "\":1";
  const auto page = reader.read_list(
      R"({"items":[{"metadata":{"name":"a","namespace":"n","labels":{)" + labels + "}}}]}", pods());
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->refused.size(), 1u);
  EXPECT_EQ(page->refused[0].second.size(), 32u);
}

TEST(KubeReader, AfterALargeObjectSmallOnesAreReadAsBefore) {
  KubeReader reader;
  const std::string large = with_meta(",\"spec\":{\"x\":\"" + std::string(3'000'000, 'x') + "\"}");
  for (const std::string& json : {with_meta(""), large, with_meta(""), large, with_meta("")}) {
    EXPECT_TRUE(reader.read_object(json).ok());
  }
}

}  // namespace
}  // namespace kvasir
