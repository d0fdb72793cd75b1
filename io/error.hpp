// The errors a person can cause, each with the exit status that tells a script what happened (design, section 3.2).
#pragma once
#include <stdexcept>
#include <string>

namespace weft {

enum ExitStatus : int {
  exit_done = 0,
  exit_failure = 1,
  exit_input = 2,   ///< the input is wrong; nothing was started, nothing written
  exit_numbers = 3, ///< non-finite loss or gradients
  exit_data = 4,    ///< a data or checkpoint file is damaged or missing
  exit_requeue = 75 ///< stopped on request after a committed checkpoint
};

/// An error with an exit status. The text says what was got, what was expected and what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& text) : std::runtime_error(text), status(status) {}
  ExitStatus status;
};

struct InputError : Error {
  explicit InputError(const std::string& text) : Error(exit_input, text) {}
};
struct NumbersError : Error {
  explicit NumbersError(const std::string& text) : Error(exit_numbers, text) {}
};
struct DataError : Error {
  explicit DataError(const std::string& text) : Error(exit_data, text) {}
};

} // namespace weft
