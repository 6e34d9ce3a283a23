// protozero's reader with the wire type checked: reading a field as what it is not throws, as everything
// that is wrong with a message does. For .cc files of wire/ that catch it.
#pragma once

#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <string_view>

namespace kvasir {

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : reader_(message.data(), message.size()) {}

  bool next() { return reader_.next(); }
  uint32_t field() const { return reader_.tag(); }
  void skip() { reader_.skip(); }
  bool is_varint() const { return reader_.wire_type() == protozero::pbf_wire_type::varint; }

  std::string_view bytes() {
    expect(protozero::pbf_wire_type::length_delimited);
    const protozero::data_view view = reader_.get_view();
    return {view.data(), view.size()};
  }
  ProtobufReader message() { return ProtobufReader(bytes()); }
  uint64_t number() {
    expect(protozero::pbf_wire_type::varint);
    return reader_.get_uint64();
  }
  uint32_t fixed32() {
    expect(protozero::pbf_wire_type::fixed32);
    return reader_.get_fixed32();
  }
  uint64_t fixed64() {
    expect(protozero::pbf_wire_type::fixed64);
    return reader_.get_fixed64();
  }
  bool boolean() { return number() != 0; }

 private:
  void expect(protozero::pbf_wire_type type) const {
    if (reader_.wire_type() != type) throw protozero::unknown_pbf_wire_type_exception{};
  }

  protozero::pbf_reader reader_;
};

}  // namespace kvasir
