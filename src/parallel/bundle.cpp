#include "parallel/bundle.hpp"
#include <cstdlib>
#include <filesystem>

namespace weft {

void use_bundled_mpi() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  // bin/weft, or libexec/weft/tests/NAME
  for (std::filesystem::path folder = program.parent_path(); !error && folder.has_relative_path();
       folder = folder.parent_path())
    if (std::filesystem::exists(folder / "share/weft/BUNDLE", error)) {
      setenv("OPAL_PREFIX", folder.c_str(), 1);
      setenv("PMIX_PKGLIBDIR", (folder / "lib/pmix").c_str(), 1);
      setenv("PMIX_PKGDATADIR", (folder / "share/pmix").c_str(), 1);
      // A single rank without mpirun: Open MPI would start a helper for ranks that might be spawned later, and that
      // helper wants ssh.
      setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
      return;
    }
}

} // namespace weft
