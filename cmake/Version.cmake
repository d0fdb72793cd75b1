# Target weft_version: what config/version.cpp tells. The commit is looked up at every build, the rest when configuring.
set(weft_generated ${PROJECT_BINARY_DIR}/generated)
string(TOUPPER "${CMAKE_BUILD_TYPE}" weft_build_type)
string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${weft_build_type}} -march=${WEFT_MARCH}" weft_flags)
set(weft_build_options "CUDA ${WEFT_CUDA}, sanitizers ${WEFT_SANITIZE}, Kokkos ${Kokkos_DEVICES}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/weft_build.hpp.in ${weft_generated}/weft_build.hpp @ONLY)

find_package(Git QUIET)
add_custom_target(weft_commit
  COMMAND ${CMAKE_COMMAND} -DGIT=${GIT_EXECUTABLE} -DSOURCE=${PROJECT_SOURCE_DIR}
          -DOUTPUT=${weft_generated}/weft_commit.cpp -P ${CMAKE_CURRENT_LIST_DIR}/Commit.cmake
  BYPRODUCTS ${weft_generated}/weft_commit.cpp
  COMMENT "Looking up the commit" VERBATIM)
add_library(weft_version STATIC ${weft_generated}/weft_commit.cpp)
add_dependencies(weft_version weft_commit)
target_include_directories(weft_version INTERFACE ${weft_generated})
