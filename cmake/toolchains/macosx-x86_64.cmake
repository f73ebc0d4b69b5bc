# SPDX-License-Identifier: Apache-2.0

# On a Mac, Apple's compiler; elsewhere Zig's.
if(CMAKE_HOST_APPLE)
  set(CMAKE_OSX_ARCHITECTURES x86_64)
  set(CMAKE_OSX_DEPLOYMENT_TARGET 11.0)
else()
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
  set(BLOCKSPARSE_ZIG_TARGET x86_64-macos.11.0)
  include("${CMAKE_CURRENT_LIST_DIR}/macosx-cross.cmake")
endif()
