// What the commands that run on several ranks share: start, agreement on errors, end.
#pragma once
#include "io/error.hpp"
#include "parallel/ranks.hpp"
#include <cstdio>
#include <functional>

namespace weft {

/// Runs `body` on every rank and returns its status. An error that every rank meets alike is told once, by rank 0; an
/// error of one rank is told with its rank and host and ends the whole job: the others would wait for it for ever.
int run_job(const std::function<int(const Ranks&)>& body);

/// Runs `part` on every rank and compares the outcome: if all fail, the first error is thrown on all of them.
/// For work before the first step, where ranks can still disagree (a file that only one host sees).
void agree(const Ranks& ranks, const std::function<void()>& part);

} // namespace weft
