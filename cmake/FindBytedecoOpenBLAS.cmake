# SPDX-License-Identifier: Apache-2.0
#
# Finds the OpenBLAS that lies in the jar org.bytedeco:openblas:VERSION:PLATFORM, unpacked. The CMake
# package files inside that jar name a library that is not in it, hence this module.
#
#   BytedecoOpenBLAS_ROOT     the folder org/bytedeco/openblas/PLATFORM of the unpacked jar
#   BytedecoOpenBLAS::cblas   imported target: cblas.h and the shared library
#   BytedecoOpenBLAS_RUNTIME  the folder of the libraries that a program needs to run
#
# Nothing is looked for outside that folder: a system's own OpenBLAS must never be taken instead.

set(_search PATHS "${BytedecoOpenBLAS_ROOT}" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_path(BytedecoOpenBLAS_INCLUDE_DIR cblas.h ${_search} PATH_SUFFIXES include)
if(WIN32)
  find_file(BytedecoOpenBLAS_LIBRARY libopenblas.dll ${_search})
  find_file(BytedecoOpenBLAS_IMPLIB openblas.lib ${_search} PATH_SUFFIXES lib)
  set(_implib BytedecoOpenBLAS_IMPLIB)
elseif(APPLE)
  find_file(BytedecoOpenBLAS_LIBRARY libopenblas.0.dylib ${_search})
else()
  find_file(BytedecoOpenBLAS_LIBRARY libopenblas.so.0 ${_search})
endif()
mark_as_advanced(BytedecoOpenBLAS_INCLUDE_DIR BytedecoOpenBLAS_LIBRARY BytedecoOpenBLAS_IMPLIB)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  BytedecoOpenBLAS
  REQUIRED_VARS BytedecoOpenBLAS_LIBRARY BytedecoOpenBLAS_INCLUDE_DIR ${_implib}
  REASON_FAILURE_MESSAGE
    "BytedecoOpenBLAS_ROOT is '${BytedecoOpenBLAS_ROOT}', and 'mvn initialize' unpacks the jar into target/native-deps")

if(BytedecoOpenBLAS_FOUND AND NOT TARGET BytedecoOpenBLAS::cblas)
  get_filename_component(BytedecoOpenBLAS_RUNTIME "${BytedecoOpenBLAS_LIBRARY}" DIRECTORY)
  add_library(BytedecoOpenBLAS::cblas SHARED IMPORTED)
  set_target_properties(
    BytedecoOpenBLAS::cblas
    PROPERTIES IMPORTED_LOCATION "${BytedecoOpenBLAS_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES "${BytedecoOpenBLAS_INCLUDE_DIR}")
  if(WIN32)
    # Relative, as the linker sorts what it imports by the paths of import libraries: the bytes of
    # our library would depend on whether the build lies before or after /usr in the alphabet.
    file(RELATIVE_PATH _implib "${CMAKE_BINARY_DIR}" "${BytedecoOpenBLAS_IMPLIB}")
    set_target_properties(BytedecoOpenBLAS::cblas PROPERTIES IMPORTED_IMPLIB "${_implib}")
  elseif(NOT APPLE)
    set_target_properties(BytedecoOpenBLAS::cblas PROPERTIES IMPORTED_SONAME libopenblas.so.0)
  endif()
endif()
unset(_search)
unset(_implib)
