// SPDX-License-Identifier: Apache-2.0
// Loads the libraries as JavaCPP's loader does and calls the exported JNI functions with a JNIEnv
// made here. On systems without a JVM, it shows that the libraries load, that names and the calling
// convention fit, and that a product is right.
//
// usage: jni_smoke_test LIBRARY... JNI_LIBRARY
#include <jni.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "blocksparse/blocksparse.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace {

#define BINDING(name) "Java_org_blocksparse_internal_binding_Blocksparse_" name

void* load(const char* path) {
#if defined(_WIN32)
  void* const library = reinterpret_cast<void*>(LoadLibraryA(path));
  const std::string reason = "error " + std::to_string(GetLastError());
#else
  void* const library = dlopen(path, RTLD_LAZY);
  const std::string reason = library == nullptr ? dlerror() : "";
#endif
  if (library == nullptr) {
    std::printf("%s: %s\n", path, reason.c_str());
    std::exit(2);
  }
  return library;
}

template <typename Function>
Function* find(void* library, const char* name) {
#if defined(_WIN32)
  void* const address =
      reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(library), name));
#else
  void* const address = dlsym(library, name);
#endif
  if (address == nullptr) {
    std::printf("no function %s\n", name);
    std::exit(2);
  }
  return reinterpret_cast<Function*>(address);
}

// Stands for any Java object here.
struct java_object {
  std::string what;
};

// One object for each class, field and method that is asked for.
java_object* named(const std::string& what) {
  static std::map<std::string, java_object> objects;
  java_object& object = objects[what];
  object.what = what;
  return &object;
}

template <int Index>
void missing() {
  std::printf("the library calls JNI function %d, which is not there\n", Index);
  std::exit(3);
}

template <int... Indices>
void fill(void** table, std::integer_sequence<int, Indices...>) {
  ((table[Indices] = reinterpret_cast<void*>(&missing<Indices>)), ...);
}

JNINativeInterface_ functions;
JNIEnv_ env{&functions};

// The functions that JNI_OnLoad and the calls below need, in their simplest form.
JavaVM_* make_vm() {
  fill(reinterpret_cast<void**>(&functions),
       std::make_integer_sequence<int, sizeof(functions) / sizeof(void*)>());
  functions.GetVersion = [](JNIEnv*) -> jint { return JNI_VERSION_1_8; };
  functions.FindClass = [](JNIEnv*, const char* name) {
    return reinterpret_cast<jclass>(named(std::string("class ") + name));
  };
  functions.GetFieldID = [](JNIEnv*, jclass, const char* name, const char*) {
    return reinterpret_cast<jfieldID>(named(name));
  };
  functions.GetMethodID = [](JNIEnv*, jclass, const char* name, const char*) {
    return reinterpret_cast<jmethodID>(named(name));
  };
  functions.GetStaticMethodID = functions.GetMethodID;
  functions.PushLocalFrame = [](JNIEnv*, jint) -> jint { return 0; };
  functions.PopLocalFrame = [](JNIEnv*, jobject object) { return object; };
  functions.ExceptionCheck = [](JNIEnv*) -> jboolean { return JNI_FALSE; };
  functions.NewGlobalRef = [](JNIEnv*, jobject object) { return object; };
  functions.NewWeakGlobalRef = [](JNIEnv*, jobject object) -> jweak { return object; };
  functions.DeleteGlobalRef = [](JNIEnv*, jobject) {};
  functions.DeleteWeakGlobalRef = [](JNIEnv*, jweak) {};
  functions.DeleteLocalRef = [](JNIEnv*, jobject) {};
  functions.NewStringUTF = [](JNIEnv*, const char* text) {
    return reinterpret_cast<jstring>(named(text));
  };
  // Class.forName and Loader.putMemberOffset, whose result is the class or is ignored.
  functions.CallStaticObjectMethodA = [](JNIEnv*, jclass type, jmethodID,
                                         const jvalue*) -> jobject { return type; };
  functions.CallStaticObjectMethodV = [](JNIEnv*, jclass type, jmethodID, va_list) -> jobject {
    return type;
  };
  static JNIInvokeInterface_ invocation{};
  invocation.GetEnv = [](JavaVM*, void** result, jint) -> jint {
    *result = &env;
    return JNI_OK;
  };
  static JavaVM_ vm{&invocation};
  return &vm;
}

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("failed: %s\n", what);
    ++failures;
  }
}

template <typename Value>
jlong address_of(const Value& value) {
  return static_cast<jlong>(reinterpret_cast<std::intptr_t>(&value));
}

using int_function = jint JNICALL(JNIEnv*, jclass, jint);
using gemm_function = jint JNICALL(JNIEnv*, jclass, jint, jint, jlong, jlong, jint, jlong, jlong,
                                   jlong, jlong);

// Two rows times one block of 3 x 2, with bias; small integers make the result exact.
void check_gemm(gemm_function* gemm, jint isa, jint path) {
  std::vector<int32_t> schedule{BLOCKSPARSE_GEMM_SCHEDULE, 1, 1, 2, 2};
  // write_block, row_start, segment_start, read_block, pair_start, row, pair_read, pair_write
  for (const int32_t entry : {0, 0, 2, 0, 1, 0, 0, 2, 0, 1, 1, 0, 0, 1}) {
    schedule.push_back(entry);
  }
  std::vector<float> a{1, 2, 3, 4, 5, 6}, w{1, 2, 3, 4, 5, 6}, bias{10, 20}, c(4, -1);
  std::vector<float> scratch(1024);
  const auto run = [&](float* rows) {
    const blocksparse_part part = {
        schedule.data(), static_cast<int64_t>(schedule.size()), 0, 1, 0, 2};
    const blocksparse_rows from = {rows, 2, 3};
    const blocksparse_blocks blocks = {
        w.data(), nullptr, 6, 6, 2, 0, 0, 1, 1, 3, 2, BLOCKSPARSE_FLOAT32, 0};
    const blocksparse_sums to = {{c.data(), 2, 2}, {bias.data(), 1, 2}, 0};
    return gemm(&env, nullptr, isa, path, address_of(part), address_of(from), 0, address_of(blocks),
                address_of(to), address_of(scratch.front()), static_cast<jlong>(scratch.size()));
  };
  check(run(nullptr) == BLOCKSPARSE_NULL_POINTER, "a null pointer is refused");
  check(run(a.data()) == BLOCKSPARSE_OK, "a product is made");
  // Row 0 of the result is row 1 of a times w, and vice versa.
  check(c == std::vector<float>{59, 84, 32, 48}, "the product is right");
}

}  // namespace

int main(int argc, char** argv) {
  void* library = nullptr;
  for (int i = 1; i < argc; ++i) {
    library = load(argv[i]);
  }
  const auto on_load = find<jint JNICALL(JavaVM*, void*)>(library, "JNI_OnLoad");
  check(on_load(make_vm(), nullptr) >= JNI_VERSION_1_4, "JNI_OnLoad");
  const auto supported = find<int_function>(library, BINDING("blocksparse_1isa_1supported"));
  const auto gemm = find<gemm_function>(library, BINDING("blocksparse_1block_1gemm_1f32"));
  int instruction_sets = 0;
  for (jint isa = BLOCKSPARSE_PORTABLE; isa <= BLOCKSPARSE_AVX512; ++isa) {
    if (supported(&env, nullptr, isa) != 0) {
      ++instruction_sets;
      check_gemm(gemm, isa, BLOCKSPARSE_PATH_BLAS);
      check_gemm(gemm, isa, BLOCKSPARSE_PATH_TILE);
    }
  }
  check(instruction_sets > 0, "portable kernels are there");
  std::printf("%d instruction sets, %d failures\n", instruction_sets, failures);
  return failures == 0 ? 0 : 1;
}
