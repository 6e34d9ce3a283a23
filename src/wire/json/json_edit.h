// Members of a JSON object set or removed in its bytes: the order of the others, white space,
// numbers of any size and members that nobody knows stay as they were sent.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct JsonEdit {
  std::string_view key;                   // as it is spelled without escapes
  std::optional<std::string_view> value;  // JSON; nullopt: the member is removed
};

// An object whose text was walked over once; it can be written with any edits of the keys that were
// named then. Values only; the text and the keys must outlive it.
//
// Of a member that is there twice the last one counts, as for the engines; both are found however
// their keys are escaped, and an edit leaves one of them at most.
class JsonEditor {
 public:
  // `object`: from white space or its opening brace to the end. An error says why it is
  // no JSON object, and where; the inside of values is not checked further than JsonCursor does.
  static Result<JsonEditor> read(std::string_view object, std::span<const std::string_view> keys);

  // The member's value as it stands in the text; nullopt: it is not there.
  std::optional<std::string_view> find(std::string_view key) const;

  // Each member that is set takes the place of the last of its name, or stands behind all others.
  // Precondition: the keys are among those of read(), each once.
  std::string write(std::span<const JsonEdit> edits) const;

 private:
  // A member of one of the keys, in the order of the text.
  struct Found {
    size_t key = 0;     // index of it in keys_
    size_t place = 0;   // how many members stand before it
    size_t before = 0;  // where the one before it ends
    size_t begin = 0, value = 0, end = 0;
    size_t next = 0;     // where the one behind it begins; its own end when there is none
    bool counts = true;  // no later one has its key
  };

  JsonEditor(std::string_view object, std::span<const std::string_view> keys)
      : object_(object), keys_(keys.begin(), keys.end()) {}

  std::string_view object_;
  std::vector<std::string_view> keys_;
  std::vector<Found> found_;
  size_t end_ = 0;  // of the last member; behind the opening brace when there is none
  size_t members_ = 0;
};

}  // namespace kvasir
