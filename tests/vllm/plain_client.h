// A blocking HTTP client that sends exactly the bytes it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir {

struct PlainAnswer {
  int status = 0;  // 0: the server closed without an answer
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;

  std::optional<std::string> field(std::string_view name) const;
};

class PlainConnection {
 public:
  explicit PlainConnection(uint16_t port);
  ~PlainConnection();
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  // False: the server does not take it all.
  bool send(std::string_view bytes);
  // Says that nothing more comes.
  void end_sending();
  // `head_only`: the request's method was HEAD.
  PlainAnswer receive(bool head_only = false);

 private:
  bool read_more();

  int socket_;
  std::string input_;
};

// One request on a connection of its own.
PlainAnswer plain_request(uint16_t port, std::string_view bytes, bool head_only = false);

}  // namespace kvasir
