// References in a fleet's file: {port}, {prefill-0.url}, {decode.port.kv}. What a process learns of
// itself and of others, whose ports are not known before the fleet starts.
//
//   {name}, {number}, {host}     of the process itself; the number is its place in its group, from
//   0 {port}, {address}, {url}     PORT, HOST:PORT and http://HOST:PORT where it serves {port.WORD}
//   a further port of its own, which is held for it too {OTHER.port}, {OTHER.address}, {OTHER.url},
//   {OTHER.port.WORD}
//                                of another process, or of each process of a group
//   {log-dir}, {folder}          where the fleet logs; where its file lies
//
// Braces around anything else, as JSON and templates have them, are text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "supervise/fleet_description.h"

namespace kvasir {

struct FleetPlace {
  std::string name;   // of the process
  std::string group;  // the group's
  uint32_t number = 0;
  std::map<std::string, uint16_t> ports;  // by WORD; "": where it serves
};

// Where everybody is.
struct FleetPlaces {
  std::string host;
  std::string log_directory;
  std::string folder;
  std::vector<FleetPlace> processes;
};

// The WORDs of the further ports of such a process, in the order of the alphabet.
std::vector<std::string> further_ports(const FleetGroup& group);

// `text` as the process `self` gets it. When it names a group of several: a text for each of them,
// in their order. Fails when it names nobody, or two groups of several.
Result<std::vector<std::string>> expand_references(std::string_view text, const FleetPlaces& places,
                                                   const FleetPlace& self);

}  // namespace kvasir
