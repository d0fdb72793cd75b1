// NCCL as the carrier of gradients between GPUs. It only moves numbers: the order of the sums stays ours. The library
// is loaded at run time, so that a program that does not use it needs no copy of its 200 MB.
#pragma once
#include "parallel/carrier.hpp"
#include "parallel/ranks.hpp"
#include <memory>
#include <string>

namespace weft {

/// Why NCCL cannot be used by this process, with what to do; empty where it can.
std::string nccl_problem();

/// One communicator of all ranks, one GPU per rank. open() makes it, with MPI carrying the address, and sends a number
/// between every two ranks. Throws Error where nccl_problem() is not empty.
std::unique_ptr<Carrier> nccl_carrier(const Ranks& ranks);

} // namespace weft
