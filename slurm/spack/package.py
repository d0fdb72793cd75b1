# Spack: copy this folder to packages/weft of a repository of yours (spack repo create), then: spack install weft
from spack.package import *


class Weft(CMakePackage, CudaPackage):
    """MPI-parallel batch program that trains Sparse Transformers and gives the same bits twice."""

    # The sources: spack develop --path /path/to/weft weft@0.1.0, or a git address of your own below.
    version("0.1.0")

    license("Apache-2.0")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("mpi")
    depends_on("hdf5@1.10.8:+mpi")
    depends_on("onednn@2.6:")
    depends_on("kokkos@5: cxxstd=20 +openmp", when="~cuda")
    for arch in ("80", "90"):
        depends_on(f"kokkos@5: cxxstd=20 +openmp +cuda cuda_arch={arch}", when=f"+cuda cuda_arch={arch}")
    depends_on("cuda@12.4:", when="+cuda")
    depends_on("tomlplusplus")
    depends_on("fmt@9:")
    depends_on("cli11")
    depends_on("libarchive")
    depends_on("libpng")
    depends_on("openssl")

    requires("%gcc@12:", msg="C++20 as GCC 12 compiles it")
    conflicts("cuda_arch=none", when="+cuda", msg="say which GPU: cuda_arch=80 (A100) or 90 (H100)")

    def cmake_args(self):
        return [
            self.define_from_variant("WEFT_CUDA", "cuda"),
            self.define("WEFT_TESTS", self.run_tests),
            self.define("Kokkos_ROOT", self.spec["kokkos"].prefix),
        ]
