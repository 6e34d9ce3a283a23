// Finds the members and elements of JSON texts without a tree, an index or a copy: the time is that
// of reading the bytes once, the memory that of a few pointers, whatever the bytes are.
//
// Only what is walked over is checked: strings end and hold no control character, brackets close,
// a colon follows each key. The inside of a value that is skipped is not looked at further. UTF-8
// is not checked either. Values only; views point into the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// The characters of what stands between quotes. Lone surrogates are encoded as if they were
// characters; a backslash that begins no escape stays.
std::string json_unescaped(std::string_view raw);

// One escape: writes its characters (4 bytes at most) to `out` and their number to `written`;
// returns how many bytes of `raw` it takes. Precondition: raw begins with a backslash.
size_t read_json_escape(std::string_view raw, char* out, size_t& written);

// Where the first byte of white space (or below) stands; the size when there is none.
size_t json_space(std::string_view text);

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  bool at_end() const { return at_ >= text_.size(); }
  // The next byte; 0 at the end.
  char next() const { return at_end() ? '\0' : text_[at_]; }
  void skip_space();
  // Goes past `byte` when it is the next one.
  bool take(char byte);
  // From an opening quote to behind the closing one: what stands between them, escapes as they are.
  // nullopt: there is no string.
  std::optional<std::string_view> string();
  // Whether the string that was gone over last has no escape.
  bool string_is_plain() const { return string_is_plain_; }
  // Any value as it stands, without white space around it. nullopt: there is none.
  std::optional<std::string_view> value();

 private:
  bool skip_container();
  bool skip_scalar();

  std::string_view text_;
  size_t at_ = 0;
  bool string_is_plain_ = false;
};

// Walks over the members of an object.
//
//   JsonMembers members(text);
//   while (members.next()) use(members.key(), members.value());
//   if (members.malformed()) ...
class JsonMembers {
 public:
  // `object`: from its opening brace on; what follows the closing one is not looked at.
  explicit JsonMembers(std::string_view object);
  bool next();
  // Unescaped; valid until the next step.
  std::string_view key() const { return key_; }
  // As it stands in the text.
  std::string_view raw_key() const { return raw_key_; }
  std::string_view value() const { return value_; }
  // Of a value that is a string: whether it has no escape.
  bool value_is_plain() const { return cursor_.string_is_plain(); }
  // Whether the walk ended before the closing brace.
  bool malformed() const { return malformed_; }
  // Where the walk stands in the object: behind the closing brace when it ended well.
  size_t at() const { return cursor_.at(); }

 private:
  bool give_up();

  JsonCursor cursor_;
  std::string_view key_;
  std::string_view raw_key_;
  std::string_view value_;
  std::string unescaped_;
  bool first_ = true;
  bool malformed_ = false;
};

// Walks over the elements of an array, in the same way.
class JsonElements {
 public:
  explicit JsonElements(std::string_view array);
  bool next();
  std::string_view value() const { return value_; }
  // From the value on, to the end of the text.
  std::string_view rest() const { return array_.substr(cursor_.at() - value_.size()); }

 private:
  std::string_view array_;
  JsonCursor cursor_;
  std::string_view value_;
  bool first_ = true;
};

}  // namespace kvasir
