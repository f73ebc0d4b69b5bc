// SPDX-License-Identifier: Apache-2.0
//
// Direct buffers, for the class NativeMemory. If the JVM refuses something, an object on a full
// heap for instance, its exception is pending when these return.
#include <jni.h>

#include <cstdint>

extern "C" {

JNIEXPORT jobject JNICALL Java_org_blocksparse_internal_binding_NativeMemory_newBuffer(
    JNIEnv* env, jclass, jlong address, jlong bytes) {
  return env->NewDirectByteBuffer(reinterpret_cast<void*>(static_cast<intptr_t>(address)), bytes);
}

JNIEXPORT jlong JNICALL
Java_org_blocksparse_internal_binding_NativeMemory_addressOf(JNIEnv* env, jclass, jobject buffer) {
  return static_cast<jlong>(reinterpret_cast<intptr_t>(env->GetDirectBufferAddress(buffer)));
}
}
