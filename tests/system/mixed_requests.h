// Many requests of every kind, and what was answered to them: to compare one fleet with another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

struct MixedRequest {
  std::string path;
  std::string body;
  bool stream = false;
};

// Completions and conversations, of texts and of token ids, short and long, with shared beginnings,
// streamed and whole. The same `count` gives the same requests.
std::vector<MixedRequest> mixed_requests(size_t count);

// All that must be equal whoever answers: the status, and of each choice its text and why it ended;
// the prompt's length.
std::string gist_of(const MixedRequest& request, const std::string& answer);

// The gist of each, from 127.0.0.1:`port`, several at a time. `headers`: further lines, each with
// its CRLF.
std::vector<std::string> ask_all(uint16_t port, const std::vector<MixedRequest>& requests,
                                 const std::string& headers = {}, size_t at_once = 8);

// What one POST is answered with, head and body.
std::string post_to(uint16_t port, const std::string& path, const std::string& body,
                    const std::string& headers = {});

// A sample of the program's page, summed over its labels; 0 when there is none.
double metric_of(uint16_t port, const std::string& name);

}  // namespace kvasir
