// The name a client asked for put back into a response: `"model":"<target>"` and `"model":
// "<target>"` become what came in, wherever the chunks of a stream are cut.
//
// Only where the quote before `model` opens a text: an occurrence inside a JSON text has its quotes
// escaped and stays as it is. Bytes that are not that are passed on untouched. A compressed
// response cannot be read.
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

class ModelRestorer {
 public:
  // `target`: the name the engine was given; `incoming`: the client's. Does nothing when either is
  // empty or they are equal.
  ModelRestorer(std::string_view target, std::string_view incoming);

  bool active() const { return active_; }

  // Appends to `output` what is ready. Holds back what may be the start of an occurrence: at most
  // held_bytes_max().
  void feed(std::string_view chunk, std::string& output);
  // The end of the response: appends what was held back, and starts anew.
  void flush(std::string& output);

  size_t held_bytes_max() const;

 private:
  enum class Match { kNo, kYes, kUnfinished };
  struct Occurrence {
    Match match;
    size_t size;
  };

  Occurrence match_value(std::string_view text) const;
  void rewrite(std::string_view text, std::string& output);

  std::string target_json_;  // with its quotes
  std::string replacement_;  // of the value, with its quotes
  bool active_;
  std::string held_;
  char before_ = 0;  // the byte before held_, 0 at the start
};

}  // namespace kvasir
