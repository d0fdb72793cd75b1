# cmake --install BUILD --prefix DIR makes DIR a bundle: it may be moved, and runs on another x86-64 Linux with this glibc
# or a newer one. scripts/bundle.sh packs it; docs/gpu.md says what it holds and what the other machine must have.
set(CMAKE_INSTALL_BINDIR bin)
set(CMAKE_INSTALL_LIBDIR lib)
find_program(weft_relocate_python python3 HINTS /usr/bin REQUIRED)
set(weft_rpath "$ORIGIN/../lib")
set(weft_tests_rpath "$ORIGIN/../../../lib")
if(WEFT_CUDA) # the toolkit's libraries stay outside: the usual place, beside what ldconfig and LD_LIBRARY_PATH name
  string(APPEND weft_rpath ":/usr/local/cuda/lib64")
  string(APPEND weft_tests_rpath ":/usr/local/cuda/lib64")
endif()
set_target_properties(weft PROPERTIES INSTALL_RPATH "${weft_rpath}")
install(TARGETS weft)

# What gpu_check.sh runs. A test that was not built is left out.
get_property(weft_device_tests GLOBAL PROPERTY weft_device_tests)
if(weft_device_tests)
  set_target_properties(${weft_device_tests} PROPERTIES INSTALL_RPATH "${weft_tests_rpath}")
  install(TARGETS ${weft_device_tests} RUNTIME DESTINATION libexec/weft/tests OPTIONAL)
endif()

install(DIRECTORY inputs DESTINATION share/weft)
install(PROGRAMS scripts/gpu_check.sh DESTINATION share/weft/scripts)
install(DIRECTORY scripts/gpu_check DESTINATION share/weft/scripts)
install(FILES LICENSE docs/gpu.md DESTINATION share/weft)
install(PROGRAMS cmake/mpirun.sh DESTINATION bin RENAME mpirun)
configure_file(${CMAKE_CURRENT_LIST_DIR}/BundleLibraries.cmake.in ${PROJECT_BINARY_DIR}/BundleLibraries.cmake @ONLY)
install(SCRIPT ${PROJECT_BINARY_DIR}/BundleLibraries.cmake)
