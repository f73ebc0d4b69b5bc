# SPDX-License-Identifier: Apache-2.0

# Name, place, run path and exports of one of our two shared libraries, and link options under
# which the same sources give the same bytes in any folder. `exports` is a version script for GNU
# ld; on Windows and macOS the visibility attributes alone decide.
function(blocksparse_shared_library target exports)
  set_target_properties(
    ${target}
    PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${BLOCKSPARSE_OUTPUT_DIR}"
               RUNTIME_OUTPUT_DIRECTORY "${BLOCKSPARSE_OUTPUT_DIR}"
               BUILD_WITH_INSTALL_RPATH ON
               INSTALL_RPATH_USE_LINK_PATH OFF)
  target_compile_options(${target} PRIVATE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=."
                                           "-ffile-prefix-map=${PROJECT_BINARY_DIR}=.")
  if(WIN32)
    # The C++ runtime goes in, as a machine with only a JVM has none. The last two options keep the
    # time of the build and its path out of the file.
    set_target_properties(${target} PROPERTIES PREFIX "")
    target_link_options(${target} PRIVATE -static -Wl,--no-insert-timestamp
                        -Wl,--disable-auto-image-base)
  elseif(APPLE)
    set_target_properties(
      ${target}
      PROPERTIES MACOSX_RPATH ON
                 INSTALL_NAME_DIR "@rpath"
                 BUILD_WITH_INSTALL_NAME_DIR ON)
    # Not by INSTALL_RPATH: off a Mac, CMake does not know the linker's option.
    target_link_options(${target} PRIVATE "-Wl,-rpath,@loader_path/." -Wl,-dead_strip)
  else()
    # 16384: some arm64 kernels have pages of 16 KB and load nothing that is aligned to less.
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN" LINK_DEPENDS "${exports}")
    target_link_options(
      ${target}
      PRIVATE
      "-Wl,--version-script=${exports}"
      -Wl,-z,noexecstack
      -Wl,-z,relro
      # Another library of the name of one that we need then fails to load, where it would else end
      # the process at the first function that it does not have.
      -Wl,-z,now
      -Wl,-z,max-page-size=16384
      -Wl,--build-id=none)
    if(NOT BLOCKSPARSE_SANITIZE)
      target_link_options(${target} PRIVATE -Wl,-z,defs)
    endif()
  endif()
  if(NOT BLOCKSPARSE_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL Debug)
    target_link_options(${target} PRIVATE -s)
  endif()
endfunction()
