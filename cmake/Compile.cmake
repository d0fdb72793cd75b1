# How compiling is made short: through ccache where it is installed, and with precompiled headers. To be included after the
# packages are found (their small test programs are not worth a cache) and before the first target.
option(WEFT_CCACHE "Compile through ccache where it is installed" ON)
option(WEFT_PCH "Precompile the headers that many sources include" ON)
option(WEFT_UNITY "Compile a folder's sources as one: for builds from nothing, where headers take most of the time" OFF)

# ccache takes a source with a precompiled header only if it is told what may differ; here, so that it holds whatever the
# user's own settings of ccache are.
set(weft_ccache_settings CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime)
if(WEFT_CCACHE)
  find_program(WEFT_CCACHE_PROGRAM ccache)
  mark_as_advanced(WEFT_CCACHE_PROGRAM)
  foreach(language C CXX)
    set(launcher "${CMAKE_${language}_COMPILER_LAUNCHER}")
    if(NOT launcher AND WEFT_CCACHE_PROGRAM)
      set(launcher "${WEFT_CCACHE_PROGRAM}")
    endif()
    if(launcher MATCHES "^(.*/)?ccache$") # ours, or the user's bare one
      set(CMAKE_${language}_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env ${weft_ccache_settings} ${launcher})
      set(weft_cached "through ${launcher}")
    endif()
  endforeach()
endif()
if(NOT weft_cached)
  set(weft_cached "without ccache")
endif()
message(STATUS "Compiling ${weft_cached}, precompiled headers ${WEFT_PCH}")

# weft_precompile(TARGET HEADER...) or weft_precompile(TARGET REUSE_FROM OTHER): the headers are included first in every
# source of the target, which must be compiled with one set of options. OTHER's options must be the target's.
function(weft_precompile target)
  if(NOT WEFT_PCH)
    return()
  endif()
  if(ARGV1 STREQUAL "REUSE_FROM")
    target_precompile_headers(${target} ${ARGN})
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess) # for ccache, which preprocesses first
  endif()
endfunction()

# weft_unity(TARGET FOLDER...): with WEFT_UNITY the sources of each folder are compiled six at a time. What two of them keep
# to themselves must then have two names.
function(weft_unity target)
  if(NOT WEFT_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(folder ${ARGN})
    file(GLOB sources ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
    string(REPLACE "/" "_" group ${folder})
    set(count 0)
    foreach(source ${sources})
      math(EXPR part "${count} / 6")
      math(EXPR count "${count} + 1")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group}_${part})
    endforeach()
  endforeach()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage) # types that an included source keeps to itself
  endif()
endfunction()
