# SPDX-License-Identifier: Apache-2.0

option(BLOCKSPARSE_WERROR "Treat the warnings of our own sources as errors" OFF)

# Not for generated sources: they are not ours to mend.
function(blocksparse_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef
                                           -Wcast-align -Wnon-virtual-dtor)
  if(BLOCKSPARSE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
