// A program that was unpacked from a bundle (scripts/bundle.sh) brings its MPI library along.
#pragma once

namespace weft {

/// Inside a bundle: tells Open MPI and PMIx where their plugins and messages lie, whatever the environment said, since
/// the libraries in use are the bundle's own. Elsewhere: does nothing. Before MPI_Init.
void use_bundled_mpi();

} // namespace weft
