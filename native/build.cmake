# SPDX-License-Identifier: Apache-2.0
#
# The part of Maven's build that needs a C++ compiler. pom.xml calls it:
#
#   cmake -DSTEP=libraries ... -P native/build.cmake    JavaCPP's JNI code, both libraries, the module of their jar
#   cmake -DSTEP=tests ... -P native/build.cmake        builds and runs the C++ tests
#
#   TARGET        Maven's folder target
#   PLATFORM      such as linux-x86_64: the name of the preset, of the toolchain, and of JavaCPP's properties
#   JOBS          compilers or tests at once
#   OUTPUT        libraries: their folder, whose name is the build id
#   JAVA_HOME     libraries: a JDK, whose jni.h is used
#   RELEASE       libraries: the Java release of the module
#   WERROR        libraries: ON makes warnings errors
#   CLASS_PATH    libraries: the compiled classes and JavaCPP
#   MODULE_PATH   libraries: has the jars of JavaCPP and OpenBLAS, also those with PLATFORM
#   TIMEOUT       tests: seconds for each
cmake_minimum_required(VERSION 3.21)

get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(build "${TARGET}/native-build/${PLATFORM}")

# Sets a variable to whether a file exists and is newer than all that it is made from.
function(is_current variable file)
  set(${variable} TRUE PARENT_SCOPE)
  foreach(source IN LISTS ARGN)
    if("${source}" IS_NEWER_THAN "${file}") # or if either is missing
      set(${variable} FALSE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# A file that is what it was keeps its time, and nothing is compiled again.
function(copy_what_differs from to)
  file(GLOB_RECURSE files RELATIVE "${from}" "${from}/*")
  foreach(file IN LISTS files)
    get_filename_component(folder "${to}/${file}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    file(COPY_FILE "${from}/${file}" "${to}/${file}" ONLY_IF_DIFFERENT)
  endforeach()
endfunction()

# JavaCPP writes functions in the order in which the JVM lists them, which is that of their names in memory. In a JVM of
# its own, and without compiler threads, it is the same in every run.
function(generate_jni_code)
  set(generated "${TARGET}/javacpp/${PLATFORM}")
  file(GLOB_RECURSE binding "${TARGET}/generated-sources/javacpp/*")
  is_current(
    current "${generated}/jniblocksparse.cpp" ${binding}
    "${root}/src/main/java/org/blocksparse/internal/binding/BlocksparsePreset.java" "${root}/pom.xml"
    "${root}/src/build/pom.xml" "${CMAKE_CURRENT_LIST_FILE}")
  if(NOT current)
    execute_process(
      COMMAND "${JAVA_HOME}/bin/java" -Xint -cp "${CLASS_PATH}" org.bytedeco.javacpp.tools.Builder -nocompile
              -properties ${PLATFORM} -d "${generated}" org.blocksparse.internal.binding.Blocksparse
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
  copy_what_differs("${generated}" "${TARGET}/native-jni/${PLATFORM}")
endfunction()

# Preset and toolchain file have the name of the platform. Run in target: with Zig, CMake leaves a file where it is run.
function(build_libraries)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${root}/native" --preset ${PLATFORM} --no-warn-unused-cli -B "${build}"
            "-DBytedecoOpenBLAS_ROOT=${TARGET}/native-deps/${PLATFORM}/org/bytedeco/openblas/${PLATFORM}"
            "-DBLOCKSPARSE_OUTPUT_DIR=${OUTPUT}" "-DBLOCKSPARSE_JNI_SOURCES=${TARGET}/native-jni/${PLATFORM}"
            "-DBLOCKSPARSE_JAVA_HOME=${JAVA_HOME}" -DBLOCKSPARSE_WERROR=${WERROR}
    WORKING_DIRECTORY "${TARGET}"
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" --build "${build}" --target blocksparse jniblocksparse --parallel ${JOBS}
    COMMAND_ERROR_IS_FATAL ANY)
  get_filename_component(folder "${OUTPUT}" DIRECTORY)
  get_filename_component(build_id "${OUTPUT}" NAME)
  file(WRITE "${folder}/build-id.txt" "${build_id}")
endfunction()

# A module of its own for the libraries, so that jlink takes them; open, or JavaCPP could not load them.
function(compile_module)
  string(REPLACE "-" "." name "${PLATFORM}") # names of modules have no hyphens
  set(source "${TARGET}/native-jni/${PLATFORM}/module/module-info.java")
  file(
    WRITE "${source}"
    "open module org.blocksparse.${name} {
  requires org.bytedeco.javacpp.${name};
  requires org.bytedeco.openblas.${name};
}
")
  # Of the path, only these: not every jar of it can be a module.
  cmake_path(CONVERT "${MODULE_PATH}" TO_CMAKE_PATH_LIST modules)
  list(FILTER modules INCLUDE REGEX "/(javacpp|openblas)-[^/]*$")
  cmake_path(CONVERT "${modules}" TO_NATIVE_PATH_LIST modules)
  execute_process(
    COMMAND "${JAVA_HOME}/bin/javac" --release ${RELEASE} -Xlint:-module --module-path "${modules}" -d
            "${TARGET}/native/${PLATFORM}" "${source}"
    COMMAND_ERROR_IS_FATAL ANY)
endfunction()

if(STEP STREQUAL "libraries")
  generate_jni_code()
  build_libraries()
  compile_module()
elseif(STEP STREQUAL "tests")
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" --parallel ${JOBS} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --output-on-failure --no-tests=error --parallel ${JOBS}
            --timeout ${TIMEOUT}
    COMMAND_ERROR_IS_FATAL ANY)
else()
  message(FATAL_ERROR "STEP: expected libraries or tests but was '${STEP}'")
endif()
