# SPDX-License-Identifier: Apache-2.0

# Sets `variable` to 16 hexadecimal digits that change whenever one of the files changes: their
# names and their bytes, hashed. No time and no path goes in, so equal sources have equal ids.
function(blocksparse_build_id variable)
  set(sum "")
  foreach(file IN LISTS ARGN)
    set_property(
      DIRECTORY
      APPEND
      PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${file}")
    file(SHA256 "${PROJECT_SOURCE_DIR}/${file}" hash)
    string(APPEND sum "${file} ${hash}\n")
  endforeach()
  string(SHA256 id "${sum}")
  string(SUBSTRING "${id}" 0 16 id)
  set(${variable}
      "${id}"
      PARENT_SCOPE)
endfunction()
