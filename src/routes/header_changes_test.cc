#include "routes/header_changes.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

HeaderModifier modifier_of(std::vector<HeaderModifier::Field> set,
                           std::vector<HeaderModifier::Field> add,
                           std::vector<std::string> remove) {
  HeaderModifier modifier;
  modifier.set = std::move(set);
  modifier.add = std::move(add);
  modifier.remove = std::move(remove);
  return modifier;
}

struct Change {
  const char* what;
  HeaderModifier modifier;
  const char* before;
  const char* after;
};

TEST(HeaderChanges, FieldLinesAreRemovedSetAndAdded) {
  const Change changes[] = {
      {"nothing", {}, "A: 1\r\n", "A: 1\r\n"},
      {"no fields", modifier_of({{"a", "1"}}, {}, {}), "", "a: 1\r\n"},
      {"set replaces every one", modifier_of({{"A", "new"}}, {}, {}), "a: 1\r\nB: 2\r\na: 3\r\n",
       "B: 2\r\nA: new\r\n"},
      {"add leaves what is there", modifier_of({}, {{"a", "2"}}, {}), "A: 1\r\n",
       "A: 1\r\na: 2\r\n"},
      {"remove is without case", modifier_of({}, {}, {"x-GONE", "other"}),
       "X-Gone: 1\r\nX-Gone-2: 1\r\n", "X-Gone-2: 1\r\n"},
      {"all three", modifier_of({{"s", "1"}}, {{"s", "2"}, {"r", "3"}}, {"r"}), "r: 0\r\ns: 0\r\n",
       "s: 1\r\ns: 2\r\nr: 3\r\n"},
      {"a value with colons", modifier_of({}, {}, {"b"}), "A: b: c\r\nb: 1\r\n", "A: b: c\r\n"},
  };
  for (const Change& change : changes) {
    EXPECT_EQ(changed_fields(change.modifier, change.before), change.after) << change.what;
  }
}

TEST(HeaderChanges, AHeadChangesTheSame) {
  HttpHead head;
  head.set_request_line("GET", "/", 1);
  head.add_field("r", "0");
  head.add_field("s", "0");
  change_head(modifier_of({{"S", "1"}}, {{"s", "2"}}, {"R"}), head);
  ASSERT_EQ(head.field_count(), 2u);
  EXPECT_EQ(head.field(0).value, "1");
  EXPECT_EQ(head.field(1).value, "2");
}

}  // namespace
}  // namespace kvasir
