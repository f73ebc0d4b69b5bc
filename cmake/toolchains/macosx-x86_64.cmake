# SPDX-License-Identifier: Apache-2.0

# On a Mac, Apple's compiler; elsewhere Zig's.
if(CMAKE_HOST_APPLE)
  set(CMAKE_OSX_ARCHITECTURES x86_64)
  set(CMAKE_OSX_DEPLOYMENT_TARGET 11.0)
else()
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
  # evex512: no instruction set, but leave to use 512-bit registers where a file has AVX-512. Zig
  # would switch that off for each file, as its baseline has no AVX-512.
  set(BLOCKSPARSE_ZIG_TARGET x86_64-macos.11.0 -mcpu=baseline+evex512)
  include("${CMAKE_CURRENT_LIST_DIR}/macosx-cross.cmake")
endif()
