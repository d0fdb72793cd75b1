// Where a run cannot keep the bits of an undisturbed one: other kernels on some ranks, or since the last checkpoint.
#pragma once
#include <string>
#include <vector>

namespace weft {

/// Notes for a person, none where all compute alike. `now`: Runtime::description() of every rank. `before`: the same of
/// the ranks that wrote the checkpoint the run goes on from, joined by "; " as its attribute `devices` is; empty: none.
/// Which of a host's devices a rank has, and how many ranks there are, makes no difference.
std::vector<std::string> bit_notes(const std::vector<std::string>& now, const std::string& before);

} // namespace weft
