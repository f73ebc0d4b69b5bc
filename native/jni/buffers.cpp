// SPDX-License-Identifier: Apache-2.0
// Direct buffers and locked memory, for the class NativeMemory. If the JVM refuses, an object on a
// full heap for instance, its exception is pending when these functions return.
#include <jni.h>

#include <cstddef>
#include <cstdint>

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <sys/mman.h>
#endif

extern "C" {

JNIEXPORT jobject JNICALL Java_org_blocksparse_internal_binding_NativeMemory_newBuffer(
    JNIEnv* env, jclass, jlong address, jlong bytes) {
  return env->NewDirectByteBuffer(reinterpret_cast<void*>(static_cast<intptr_t>(address)), bytes);
}

JNIEXPORT jlong JNICALL
Java_org_blocksparse_internal_binding_NativeMemory_addressOf(JNIEnv* env, jclass, jobject buffer) {
  return static_cast<jlong>(reinterpret_cast<intptr_t>(env->GetDirectBufferAddress(buffer)));
}

JNIEXPORT jboolean JNICALL Java_org_blocksparse_internal_binding_NativeMemory_lock(
    JNIEnv*, jclass, jlong address, jlong bytes, jboolean locked) {
  void* const memory = reinterpret_cast<void*>(static_cast<intptr_t>(address));
  const std::size_t size = static_cast<std::size_t>(bytes);
#if defined(_WIN32)
  const bool done = (locked ? VirtualLock(memory, size) : VirtualUnlock(memory, size)) != 0;
#else
  const bool done = (locked ? mlock(memory, size) : munlock(memory, size)) == 0;
#endif
  return done ? JNI_TRUE : JNI_FALSE;
}
}
