// Checks for numbers on the command line. CLI11's own let "nan" through, and numbers so large that
// a duration made of them overflows.
#pragma once

#include <CLI/CLI.hpp>

namespace kvasir {

// Thirty years; beyond it nanoseconds could overflow.
inline constexpr double kSecondsMost = 1e9;

// Of one program.
inline constexpr int kThreadsMost = 1024;

// Above 0 and at most `most`.
CLI::Validator above_zero(double most = kSecondsMost);
// From 0 to `most`.
CLI::Validator from_zero(double most = kSecondsMost);
// How many times faster than life: from a millionth to a million.
CLI::Validator time_scale_check();
// Seconds of predicted work from which an endpoint is full: from a millisecond to ten minutes.
CLI::Validator hold_threshold_check();

// For all options of `app` and its subcommands that hold a number without a sign: CLI11 takes -1 as
// the largest one.
void refuse_negative_counts(CLI::App& app);

}  // namespace kvasir
