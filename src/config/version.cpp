#include "config/version.hpp"
#include "weft_build.hpp" // written by cmake/Version.cmake
#include <fmt/format.h>

#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX // the old C++ bindings do not compile without warnings
#endif
#include <mpi.h>

// In the one source that is written anew at every build (cmake/Commit.cmake).
extern const char* const weft_git_commit;
extern const bool weft_git_dirty;

namespace weft {
namespace {

std::string mpi_text() {
#if defined(OMPI_MAJOR_VERSION)
  return fmt::format("Open MPI {}.{}.{}", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION);
#else
  return fmt::format("MPI standard {}.{}", MPI_VERSION, MPI_SUBVERSION);
#endif
}

} // namespace

const Version& version() {
  static const Version it = {WEFT_BUILD_VERSION,
                             weft_git_commit,
                             weft_git_dirty,
                             WEFT_BUILD_TYPE,
                             WEFT_BUILD_COMPILER,
                             WEFT_BUILD_FLAGS,
                             WEFT_BUILD_OPTIONS,
                             {{"MPI", mpi_text()},
                              {"HDF5", WEFT_BUILD_HDF5},
                              {"Kokkos", WEFT_BUILD_KOKKOS},
                              {"oneDNN", WEFT_BUILD_DNNL},
                              {"toml++", WEFT_BUILD_TOMLPLUSPLUS},
                              {"CLI11", WEFT_BUILD_CLI11},
                              {"fmt", WEFT_BUILD_FMT}}};
  return it;
}

std::string version_text() {
  const Version& v = version();
  std::string text = fmt::format("weft {}\ncommit    {}\nbuild     {}, {}\nflags     {}\ncompiler  {}\n", v.version,
                                 v.commit_text(), v.build_type, v.options, v.flags, v.compiler);
  for (const auto& [name, number] : v.libraries)
    text += fmt::format("{:<9} {}\n", name, number);
  text.pop_back(); // the caller ends the line
  return text;
}

} // namespace weft
